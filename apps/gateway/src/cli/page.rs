//! What the commands print: lines for people, names to the left and values to the right. Whatever a client chose is
//! made printable first, so that no log line can move a terminal's cursor.

use std::{
    borrow::Cow,
    fmt,
    io::{self, ErrorKind, Write},
};

/// How wide the names are.
const NAMES: usize = 11;

/// A page that is filled and then printed.
#[derive(Debug, Default)]
pub(in crate::cli) struct Page(String);

impl Page {
    /// A name and its value.
    pub(in crate::cli) fn row(&mut self, name: &str, value: impl fmt::Display) {
        let value = value.to_string();
        self.line(format_args!("{name:<NAMES$} {}", printable(&value)));
    }

    /// The same, where there is a value.
    pub(in crate::cli) fn row_of(&mut self, name: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }

    /// A whole line.
    pub(in crate::cli) fn line(&mut self, text: impl fmt::Display) {
        self.0.push_str(text.to_string().trim_end());
        self.0.push('\n');
    }

    /// Prints it on standard output.
    pub(in crate::cli) fn print(&self) -> io::Result<()> {
        print(&self.0)
    }
}

/// Prints a text on standard output. Whoever stopped reading wants no more of it, which is a normal end.
pub(in crate::cli) fn print(text: &str) -> io::Result<()> {
    offer(text).map(drop)
}

/// Prints a text on standard output, and tells whether somebody still reads.
pub(in crate::cli) fn offer(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    still_read(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Tells the operator something that is not part of the answer.
pub(in crate::cli) fn remark(text: &str) {
    // Where nobody can read a remark, nothing is lost with it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn still_read(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// A text on one line, without anything that a terminal would obey.
pub(in crate::cli) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_aligned_and_printable() {
        let mut page = Page::default();
        page.row("who", "ann");
        page.row_of("from", Some("a\u{1b}[2Jb\nc"));
        page.row_of("door", None::<&str>);
        page.line("  ");
        assert_eq!(page.0, "who         ann\nfrom        a\\u{1b}[2Jb\\nc\n\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_fault_and_anything_else_is() {
        assert!(still_read(Ok(())).unwrap());
        assert!(!still_read(Err(ErrorKind::BrokenPipe.into())).unwrap());
        assert!(still_read(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
