//! The configuration for tests is TOML, whatever is in the paths and words.

use std::{io, path::Path};

use portcullis_testkit::gateway::{Gateway, Upstream, config, free_address, wrap_command};

#[test]
fn configuration_is_toml_with_every_word_kept() {
    let odd = "a \"quoted\" \\ word\twith a tab";
    let command = [odd.to_owned(), "second".to_owned()];
    let address = "127.0.0.1:4000".parse().unwrap();
    let text = config(
        address,
        Path::new("/state"),
        Path::new(odd),
        Upstream::Command(&command),
    );
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["listen"]["address"].as_str(), Some("127.0.0.1:4000"));
    assert_eq!(table["policy"]["file"].as_str(), Some(odd));
    assert_eq!(table["upstream"][0]["command"][0].as_str(), Some(odd));
    assert_eq!(table["upstream"][0]["command"][1].as_str(), Some("second"));

    let text = config(
        address,
        Path::new("/state"),
        Path::new("p"),
        Upstream::Http("http://127.0.0.1:1/mcp"),
    );
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["upstream"][0]["url"].as_str(), Some("http://127.0.0.1:1/mcp"));
    assert!(table["upstream"][0].get("command").is_none());
}

#[test]
fn a_program_that_ends_is_an_error_with_its_output() -> io::Result<()> {
    let work = tempfile::tempdir()?;
    let error = Gateway::start(
        Path::new("/bin/echo"),
        work.path(),
        Upstream::Http("http://127.0.0.1:1/mcp"),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("ended") && text.contains("up --config"), "{text}");
    assert_eq!(std::fs::read_dir(work.path())?.count(), 0, "its files are removed");
    Ok(())
}

#[test]
fn wrapping_keeps_the_command() {
    let words = wrap_command(
        Path::new("/bin/portcullis"),
        &["server".to_owned(), "--flag".to_owned()],
    );
    assert_eq!(words, ["/bin/portcullis", "wrap", "--", "server", "--flag"]);
}

#[test]
fn a_free_address_is_on_loopback() {
    assert!(free_address().unwrap().ip().is_loopback());
}
