//! The example of a configuration, and the list of keys in backupctl.toml(5), from the table of keys (`config::key`).

use config::key::{Key, Section};
use config::{own_sections, sections};

use super::replaced;

/// Columns of the example.
const WIDTH: usize = 118;

/// The line of the example above the keys of services and extra targets.
const OWN: &str = "# The keys of one service or extra target, each with a value for example.\n";

/// A text as comments.
fn comment(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn range(key: &Key) -> Option<String> {
    match key.range? {
        (low, high) if high >= u64::from(u32::MAX) => Some(format!("At least {low}.")),
        (low, high) => Some(format!("From {low} to {high}.")),
    }
}

fn example_of(key: &Key) -> String {
    let mut text = key.meaning.to_owned();
    text.extend(range(key).map(|range| format!(" {range}")));
    let name = key.name;
    let value = match (&key.default, key.sample) {
        (Some(value), _) => format!("{name} = {value}\n"),
        (None, Some(sample)) => format!("# {name} = {sample}\n"),
        (None, None) => panic!("{name} has neither a default nor a sample"),
    };
    if key.default.is_none() {
        text.push_str(" Not set by default.");
    }
    comment(&text) + &value
}

fn example_section(section: &Section) -> String {
    let mut text = String::new();
    if !section.table.is_empty() {
        if !section.meaning.is_empty() {
            text.push_str(&comment(section.meaning));
        }
        text.push_str(&format!("[{}]\n", section.table));
    }
    let between = if section.table.is_empty() { "\n" } else { "" };
    let keys: Vec<String> = section.keys.iter().map(example_of).collect();
    text + &keys.join(between)
}

pub(super) fn example(text: &str) -> String {
    let sections: Vec<String> = sections().iter().map(example_section).collect();
    let text = replaced(
        text,
        "under [services] or [extra] is the default.\n\n",
        "\n# A service is named as its folder",
        &sections.join("\n"),
    );
    let own: Vec<String> = own_sections().iter().map(own_section).collect();
    let (above, _) = text.split_once(OWN).unwrap();
    format!("{above}{OWN}\n{}", own.join("\n"))
}

/// A table of a service or an extra target, as comments.
fn own_section(section: &Section) -> String {
    let mut text = comment(section.meaning) + &format!("# [{}]\n", section.table);
    for key in &section.keys {
        let meaning = format!("{} {}", key.meaning, range(key).unwrap_or_default());
        let sample = key.sample.unwrap();
        text.push_str(&format!(
            "#\n{}# {} = {sample}\n",
            comment(&meaning),
            key.name
        ));
    }
    text
}

/// A word of a text in mdoc(7): an option, or a literal.
fn mdoc(word: &str) -> String {
    match word.strip_prefix('-') {
        Some(option) if !word.contains(' ') => format!("Fl {option}"),
        _ => format!("Ql {word}"),
    }
}

/// A text in mdoc(7), one sentence or one macro a line.
fn prose(text: &str) -> String {
    let mut lines = Vec::new();
    let mut parts = text.split('`').enumerate().peekable();
    let mut rest = String::new();
    while let Some((at, part)) = parts.next() {
        if at % 2 == 0 {
            let part = format!("{rest}{part}");
            rest.clear();
            for sentence in part.trim().replace(". ", ".\n").lines() {
                lines.push(sentence.trim().to_owned());
            }
            continue;
        }
        // Punctuation after a word belongs to its macro.
        let after = parts.peek().map_or("", |(_, after)| after);
        let marks: String = after
            .chars()
            .take_while(|mark| ".,:;)".contains(*mark))
            .collect();
        let mut line = format!(".{}", mdoc(part));
        for mark in marks.chars() {
            line.push_str(&format!(" {mark}"));
        }
        lines.push(line);
        if let Some((_, after)) = parts.next() {
            rest = after[marks.len()..].to_owned();
            for sentence in rest.trim().replace(". ", ".\n").lines() {
                lines.push(sentence.trim().to_owned());
            }
            rest.clear();
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn manual_of(key: &Key, is_own: bool) -> String {
    let mut text = format!(".It Cm {}\n{}", key.name, prose(key.meaning));
    text.extend(range(key).map(|range| format!("{range}\n")));
    match key
        .default
        .as_deref()
        .map(|value| value.replace('"', "\\(dq"))
    {
        Some(value) => text.push_str(&format!("Default:\n.Li {value} .\n")),
        None if is_own => {}
        None => text.push_str("Not set by default.\n"),
    }
    text
}

fn manual_section(section: &Section) -> String {
    let title = match section.table {
        "" => "Top level".to_owned(),
        table => format!("[{table}]"),
    };
    let is_own = section.table.contains("NAME");
    let keys = section.keys.iter().map(|key| manual_of(key, is_own));
    let keys: String = keys.collect();
    let meaning = prose(section.meaning);
    format!(".Ss {title}\n{meaning}.Bl -tag -width Ds\n{keys}.El\n")
}

pub(super) fn manual(text: &str) -> String {
    let pages = |sections: &[Section]| -> String { sections.iter().map(manual_section).collect() };
    let (begin, names) = ("no links on the way.\n", ".Ss Names of services\n");
    let text = replaced(text, begin, names, &pages(&sections()));
    let names = "whose names differ only by case.\n";
    replaced(&text, names, ".Sh EXAMPLES\n", &pages(&own_sections()))
}
