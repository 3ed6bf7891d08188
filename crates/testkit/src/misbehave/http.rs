//! The misbehaving servers over Streamable HTTP, written by hand so that the framing itself can be broken.

use std::io;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    CHUNK_BYTES, ENDLESS_PAUSE, Mode, NOISE, OVERSIZED_BYTES, Reply, Script, TRICKLE, around_padding,
    busy_notification, estranged,
};

/// The longest request head and body that are read, in bytes.
const HEAD_BYTES_MAX: u64 = 64 * 1024;
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Serves `script` on `listener` until the task is dropped, or until the script makes the server go away.
///
/// # Errors
/// The listener is not on a loopback address, or it fails.
pub async fn serve_http(script: Script, listener: TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{address}` is not a loopback address"),
        ));
    }
    let (gone, mut is_gone) = watch::channel(false);
    loop {
        tokio::select! {
            // When the server goes, every connection goes with it: each waits for the same sign.
            _ = is_gone.changed() => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let (gone, mut is_gone) = (gone.clone(), is_gone.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = is_gone.changed() => {}
                        // A client that hangs up is no event here.
                        _ = connection(script, stream, gone) => {}
                    }
                });
            }
        }
    }
}

async fn connection(script: Script, stream: TcpStream, gone: watch::Sender<bool>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let writer = stream.get_mut();
        match request.map(|message| script.reply(&message)) {
            Err(status) => write_head(writer, status, "text/plain", Some(0)).await?,
            Ok(Reply::Nothing) => write_head(writer, "202 Accepted", "text/plain", Some(0)).await?,
            Ok(Reply::Answer(answer)) => write_whole(writer, answer.to_string().as_bytes()).await?,
            Ok(Reply::Spoil(answer)) => {
                if script.mode == Mode::Gone {
                    // Nobody left to tell is as good.
                    let _ = gone.send(true);
                    return Ok(());
                }
                if !spoil(script.mode, answer, writer).await? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Answers badly. Returns whether the connection can go on.
async fn spoil(mode: Mode, answer: Value, writer: &mut TcpStream) -> io::Result<bool> {
    let body = answer.to_string();
    let body = body.as_bytes();
    match mode {
        Mode::Silent | Mode::Gone => std::future::pending().await,
        Mode::Slow => {
            write_head(writer, "200 OK", "application/json", Some(body.len())).await?;
            for byte in body {
                tokio::time::sleep(TRICKLE).await;
                writer.write_all(&[*byte]).await?;
            }
        }
        Mode::Endless => {
            write_head(writer, "200 OK", "text/event-stream", None).await?;
            let event = format!("event: message\ndata: {}\n\n", busy_notification());
            loop {
                write_chunk(writer, event.as_bytes()).await?;
                tokio::time::sleep(ENDLESS_PAUSE).await;
            }
        }
        Mode::Oversized => {
            write_head(writer, "200 OK", "application/json", None).await?;
            let (head, tail) = around_padding(&answer);
            write_chunk(writer, head.as_bytes()).await?;
            let padding = vec![b'a'; CHUNK_BYTES];
            for _ in 0..OVERSIZED_BYTES / CHUNK_BYTES {
                write_chunk(writer, &padding).await?;
            }
            write_chunk(writer, tail.as_bytes()).await?;
            write_chunk(writer, b"").await?;
        }
        Mode::Garbage => write_whole(writer, &NOISE).await?,
        Mode::Noise => {
            writer.write_all(&NOISE).await?;
            return Ok(false);
        }
        Mode::Stranger => write_whole(writer, estranged(answer).to_string().as_bytes()).await?,
        Mode::Dying => {
            write_head(writer, "200 OK", "application/json", Some(body.len())).await?;
            let (half, _) = body.split_at(body.len() / 2);
            writer.write_all(half).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads one request: its message, or the status to refuse it with. `None` at the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Result<Value, &'static str>>> {
    let mut head = stream.take(HEAD_BYTES_MAX);
    let mut line = String::new();
    if head.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let is_post = line.starts_with("POST ");
    let mut length = 0;
    loop {
        line.clear();
        if head.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }
    if length > BODY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    head.into_inner().take(length).read_to_end(&mut body).await?;
    Ok(Some(if is_post {
        serde_json::from_slice(&body).map_err(|_| "400 Bad Request")
    } else {
        Err("405 Method Not Allowed")
    }))
}

async fn write_head(writer: &mut TcpStream, status: &str, kind: &str, length: Option<usize>) -> io::Result<()> {
    let framing = length.map_or_else(
        || "transfer-encoding: chunked".to_owned(),
        |length| format!("content-length: {length}"),
    );
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n");
    writer.write_all(head.as_bytes()).await
}

async fn write_whole(writer: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    write_head(writer, "200 OK", "application/json", Some(body.len())).await?;
    writer.write_all(body).await
}

async fn write_chunk(writer: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    writer.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
    writer.write_all(chunk).await?;
    writer.write_all(b"\r\n").await
}
