//! The verbs in GRAMMAR.md.

use backupctl::request::table::{Place, VERBS, Verb};

use super::{options, replaced, shown};

fn synopsis(verb: &Verb) -> String {
    let line = format!(
        "    {:<18} {}",
        shown(verb.name, verb.takes),
        options(verb).join(" ")
    );
    format!("{}\n", line.trim_end())
}

fn explained(verb: &Verb) -> String {
    format!("    {:<28} {}\n", shown(verb.name, verb.takes), verb.help)
}

pub(super) fn file(text: &str) -> String {
    let of = |place: Place, shape: fn(&Verb) -> String| -> String {
        let verbs = VERBS.iter().filter(|verb| verb.place == place);
        verbs.map(shape).collect()
    };
    let mut text = text.to_owned();
    for (name, lines) in [
        ("requests", of(Place::Request, synopsis)),
        ("host", of(Place::Host, synopsis)),
        ("alone", of(Place::Alone, explained)),
    ] {
        let begin = format!("<!-- table of verbs: {name} -->\n\n");
        text = replaced(&text, &begin, "\n<!-- end -->\n", &lines);
    }
    text
}
