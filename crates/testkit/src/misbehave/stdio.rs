//! The misbehaving servers over lines: standard input and output, or any pair of streams.

use std::{io, sync::Arc};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{Mutex, mpsc},
};

use super::{
    CHUNK_BYTES, ENDLESS_PAUSE, Mode, NOISE, OVERSIZED_BYTES, Reply, Script, TRICKLE, around_padding,
    busy_notification, estranged,
};

/// Serves `script` until the input ends, or until the script makes the server go away.
///
/// Requests are answered side by side, so that one bad answer blocks another only where a pipe must: in the middle of a
/// line.
///
/// # Errors
/// A stream fails.
pub async fn serve_stdio<R, W>(script: Script, reader: R, writer: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let writer = Arc::new(Mutex::new(writer));
    let (ended, mut end) = mpsc::channel(1);
    let mut lines = BufReader::new(reader).lines();
    loop {
        let line = tokio::select! {
            _ = end.recv() => return Ok(()),
            line = lines.next_line() => line?,
        };
        let Some(line) = line else { return Ok(()) };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let (writer, ended) = (Arc::clone(&writer), ended.clone());
        tokio::spawn(async move {
            // A client that hangs up is no event here.
            let goes_on = answer(script, &message, &writer).await.unwrap_or(true);
            if !goes_on {
                let _ = ended.send(()).await;
            }
        });
    }
}

/// Answers one message. Returns whether the server lives on.
async fn answer<W: AsyncWrite + Unpin>(script: Script, message: &Value, writer: &Mutex<W>) -> io::Result<bool> {
    let answer = match script.reply(message) {
        Reply::Nothing => return Ok(true),
        Reply::Answer(answer) => {
            write_line(writer, answer.to_string().as_bytes()).await?;
            return Ok(true);
        }
        Reply::Spoil(answer) => answer,
    };
    match script.mode {
        Mode::Silent => {}
        Mode::Slow => {
            let mut writer = writer.lock().await;
            for byte in format!("{answer}\n").as_bytes() {
                tokio::time::sleep(TRICKLE).await;
                writer.write_all(&[*byte]).await?;
                writer.flush().await?;
            }
        }
        Mode::Endless => loop {
            write_line(writer, busy_notification().to_string().as_bytes()).await?;
            tokio::time::sleep(ENDLESS_PAUSE).await;
        },
        Mode::Oversized => {
            let (head, tail) = around_padding(&answer);
            let padding = vec![b'a'; CHUNK_BYTES];
            let mut writer = writer.lock().await;
            writer.write_all(head.as_bytes()).await?;
            for _ in 0..OVERSIZED_BYTES / CHUNK_BYTES {
                writer.write_all(&padding).await?;
            }
            writer.write_all(tail.as_bytes()).await?;
            writer.write_all(b"\n").await?;
            writer.flush().await?;
        }
        Mode::Garbage => write_line(writer, &NOISE).await?,
        Mode::Noise => {
            let mut writer = writer.lock().await;
            writer.write_all(&NOISE).await?;
            writer.flush().await?;
            // The line never ends, so nobody else may write.
            std::future::pending::<()>().await;
        }
        Mode::Stranger => write_line(writer, estranged(answer).to_string().as_bytes()).await?,
        Mode::Dying => {
            let line = answer.to_string();
            let (half, _) = line.as_bytes().split_at(line.len() / 2);
            let mut writer = writer.lock().await;
            writer.write_all(half).await?;
            writer.flush().await?;
            return Ok(false);
        }
        Mode::Gone => return Ok(false),
    }
    Ok(true)
}

async fn write_line<W: AsyncWrite + Unpin>(writer: &Mutex<W>, line: &[u8]) -> io::Result<()> {
    let mut writer = writer.lock().await;
    writer.write_all(line).await?;
    writer.write_all(b"\n").await?;
    writer.flush().await
}
