//! A credential that is given in a file or on standard input. No error tells what it was, nor the name of a file that
//! may be a credential by mistake.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Result, anyhow, ensure};
use gateway_domain::Token;

/// More than any door takes.
const MOST: u64 = 64 << 10;

/// Reads it from a file, or from standard input where the name is `-`; white space around it does not count.
pub(in crate::cli) fn read(from: &Path) -> Result<Token> {
    let bytes = if from == Path::new("-") { bounded(io::stdin().lock()) } else { File::open(from).and_then(bounded) };
    let bytes = bytes.map_err(|fault| {
        anyhow!("the file with the token cannot be read: {fault}. Name a file, or - for standard input; the token itself does not belong on a command line")
    })?;
    ensure!(
        !u64::try_from(bytes.len()).is_ok_and(|size| size > MOST),
        "that is no token: it has more than {MOST} bytes"
    );
    let text = std::str::from_utf8(&bytes).map_err(|_| anyhow!("that is no token: it is not UTF-8"))?;
    Ok(Token::new(text.trim()))
}

fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
