//! A page, read: its blocks with what their fences say, its headings, its links.

use std::{fs, path::Path, path::PathBuf};

/// A page of the documentation.
pub(super) struct Page {
    /// Where it is, from the root of the repository.
    pub(super) path: String,
    /// All of it.
    pub(super) text: String,
    /// Its fenced blocks, in their order.
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// The first word of the fence.
    pub(super) language: String,
    /// The other words of the fence, up to `not-run:`.
    pub(super) words: Vec<String>,
    /// Why it is not run, where it says so: in the fence, or in a comment that is its first line.
    pub(super) not_run: Option<String>,
    /// What it says.
    pub(super) text: String,
    /// The line of its fence.
    pub(super) line: usize,
}

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every page that users read.
pub(super) fn all() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "deploy/compose/README.md".to_owned()];
    for entry in fs::read_dir(root().join("deploy/examples")).unwrap() {
        pages.push(format!("deploy/examples/{}/README.md", entry.unwrap().file_name().into_string().unwrap()));
    }
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages
}

impl Page {
    /// Reads it.
    pub(super) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
        for (number, line) in (1..).zip(text.lines()) {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(fence)) => open = Some(Block::begun(fence, number)),
                (Some(_), Some("")) => blocks.extend(open.take().map(Block::ended)),
                (Some(block), _) => block.text += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{path}: a block has no end");
        Self { path: path.to_owned(), text, blocks }
    }

    /// The file that a block of the page writes.
    pub(super) fn file(&self, name: &str) -> &str {
        let found = self.blocks.iter().find(|block| block.file() == Some(name));
        &found.unwrap_or_else(|| panic!("{} has no block for {name}", self.path)).text
    }

    /// The rows of the tables that have that many columns, each cell without its back quotes.
    pub(super) fn rows(&self, columns: usize) -> Vec<Vec<String>> {
        let cells = |line: &str| -> Option<Vec<String>> {
            let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
            Some(inner.split('|').map(|cell| cell.trim().replace('`', "")).collect())
        };
        self.text.lines().filter_map(cells).filter(|row| row.len() == columns).collect()
    }

    /// The blocks under a heading, up to the next of its kind.
    pub(super) fn under(&self, heading: &str) -> Vec<&Block> {
        let headings: Vec<(usize, &str)> =
            (1..).zip(self.text.lines()).filter_map(|(line, text)| Some((line, text.strip_prefix("## ")?))).collect();
        let at = headings.iter().position(|(_, text)| *text == heading);
        let at = at.unwrap_or_else(|| panic!("{} has no heading `{heading}`", self.path));
        let end = headings.get(at + 1).map_or(usize::MAX, |(line, _)| *line);
        self.blocks.iter().filter(|block| (headings[at].0..end).contains(&block.line)).collect()
    }

    /// What its headings say.
    pub(super) fn headings(&self) -> Vec<&str> {
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .collect()
    }

    /// Where its links lead, those to other sites apart.
    pub(super) fn links(&self) -> Vec<&str> {
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://") && !target.contains(' ')).collect()
    }
}

impl Block {
    fn begun(fence: &str, line: usize) -> Self {
        let (fence, not_run) = match fence.split_once("not-run:") {
            Some((fence, why)) => (fence, Some(why.trim().to_owned())),
            None => (fence, None),
        };
        let mut words = fence.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        Self { language, words: words.collect(), not_run, text: String::new(), line }
    }

    fn ended(mut self) -> Self {
        let comment = self.text.lines().next().and_then(|line| line.strip_prefix("# not-run:"));
        if let Some(why) = comment {
            self.not_run = Some(why.trim().to_owned());
        }
        self
    }

    /// Whether the fence has that word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// What it has to do with which terminal of the page.
    pub(super) fn of_terminal(&self) -> Option<(&str, &str)> {
        let named = self.words.iter().filter_map(|word| word.split_once('='));
        named.into_iter().find(|(act, _)| ["beside", "typed", "prints"].contains(act))
    }

    /// The file that it is.
    pub(super) fn file(&self) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix("file="))
    }
}
