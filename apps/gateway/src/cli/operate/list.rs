//! A list of the API, page after page: a table for people, or a line of JSON for each entry.

use anyhow::Result;
use serde_json::Value;

use super::super::{
    api::{Api, Call},
    page,
};

/// More entries than this are for a program, not for a screen.
const MOST_FOR_PEOPLE: usize = 1_000;
const A_PAGE: usize = 1_000;

/// A heading, and the member that stands below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str);

/// A list of the API.
#[derive(Debug)]
pub(super) struct List<'a> {
    name: &'static str,
    columns: &'a [Column],
}

impl<'a> List<'a> {
    pub(super) const fn new(name: &'static str, columns: &'a [Column]) -> Self {
        Self { name, columns }
    }

    /// Asks for every page, and prints.
    pub(super) async fn print(&self, api: &Api, call: impl Fn() -> Call, json: bool) -> Result<()> {
        let (mut rows, mut cursor): (Vec<Vec<String>>, Option<String>) = (Vec::new(), None);
        loop {
            let page =
                api.answer(call().with("limit", self.is_paged().then_some(A_PAGE)).with("cursor", cursor)).await?;
            for entry in page[self.name].as_array().into_iter().flatten() {
                if json {
                    if !page::offer(&format!("{entry}\n"))? {
                        return Ok(());
                    }
                } else if rows.len() < MOST_FOR_PEOPLE {
                    rows.push(self.columns.iter().map(|Column(_, member)| shown(&entry[*member])).collect());
                }
            }
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || (!json && rows.len() >= MOST_FOR_PEOPLE) {
                break;
            }
        }
        if !json {
            page::print(&self.table(&rows))?;
            if cursor.is_some() {
                page::remark(&format!("these are the first {MOST_FOR_PEOPLE}: --json prints all"));
            }
        }
        Ok(())
    }

    /// Whether it comes in pages: there are few bans.
    fn is_paged(&self) -> bool {
        self.name != "bans"
    }

    fn table(&self, rows: &[Vec<String>]) -> String {
        if rows.is_empty() {
            return format!("no {}\n", self.name);
        }
        let heads: Vec<String> = self.columns.iter().map(|Column(head, _)| (*head).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| rows.iter().chain([&heads]).filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        std::iter::once(&heads).chain(rows).map(line).collect()
    }
}

/// A value in a cell; what a client chose is made printable.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => page::printable(text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let list = List::new("agents", &[Column("agent", "agentId"), Column("user", "userId")]);
        let rows = [vec!["press-7".to_owned(), "fleet".into()], vec!["x".into(), "-".into()]];
        assert_eq!(list.table(&rows), "agent    user\npress-7  fleet\nx        -\n");
        assert_eq!(list.table(&[]), "no agents\n");
        assert_eq!(shown(&Value::from("a\u{1b}[2J")), "a\\u{1b}[2J");
        assert_eq!((shown(&Value::Null), shown(&Value::from(7))), ("-".into(), "7".to_owned()));
    }
}
