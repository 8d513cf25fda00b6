//! What is typed, line by line. Standard input cannot be waited for without a thread, so it has one, which ends with
//! the process.

use std::io::{self, BufRead, Read};

use anyhow::{Result, anyhow, ensure};
use tokio::sync::mpsc::{Receiver, channel};

/// The longest line that is sent.
const MOST_LINE: u64 = 4 << 20;
/// How many lines wait to be sent: whoever types faster is held up.
const WAITING: usize = 16;

/// The lines of standard input, until it ends; empty ones are left out.
pub(super) fn lines() -> Receiver<Result<String>> {
    let (sender, receiver) = channel(WAITING);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(line) = line(&mut input).transpose() {
            let last = line.is_err();
            if line.as_ref().is_ok_and(String::is_empty) {
                continue;
            }
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    receiver
}

fn line(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = input.by_ref().take(MOST_LINE + 1).read_until(b'\n', &mut bytes)?;
    ensure!(u64::try_from(read).is_ok_and(|read| read <= MOST_LINE), "a line has at most {MOST_LINE} bytes");
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("what was typed is not UTF-8"))?;
    Ok((read > 0).then(|| text.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_and_bounded() {
        let mut input: &[u8] = b"one\r\n\ntwo";
        assert_eq!(line(&mut input).unwrap().as_deref(), Some("one"));
        assert_eq!(line(&mut input).unwrap().as_deref(), Some(""));
        assert_eq!(line(&mut input).unwrap().as_deref(), Some("two"));
        assert_eq!(line(&mut input).unwrap(), None);
        assert!(line(&mut &b"\xff\n"[..]).is_err());
        assert!(line(&mut vec![b'x'; (4 << 20) + 2].as_slice()).is_err());
    }
}
