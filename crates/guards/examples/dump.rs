//! scratch
use portcullis_guards::scan::{Rules, Scanner};
fn main() {
    let scanner = Scanner::new(Rules::built_in().unwrap()).unwrap();
    for file in std::env::args().skip(1) {
        let text = std::fs::read(&file).unwrap();
        let mut parts: Vec<Vec<u8>> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        parts.extend(text.chunks(65536).map(<[u8]>::to_vec));
        parts.extend(text.chunks(1013).map(<[u8]>::to_vec));
        for line in text.split(|b| *b == b'\n') {
            if let Ok(v) = serde_json::from_slice::<serde_json::Value>(line) {
                if let Some(t) = v.get("text").and_then(|t| t.as_str()) {
                    parts.push(t.as_bytes().to_vec());
                }
            }
        }
        for (i, p) in parts.iter().enumerate() {
            for f in scanner.scan(p) {
                println!("{file} {i} {:?} {} {:?} {:?}", f.class, f.rule, f.confidence, f.span);
            }
        }
    }
}
