use super::*;

fn entries(text: &str) -> Vec<Entry> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_lies_beside_the_archives_is_told_apart() {
    let service = ServiceName::parse("n8n").unwrap();
    let entries = entries(
        r#"[{"Path":"n8n","Name":"n8n","Size":-1,"IsDir":true},
        {"Path":"n8n/archives","Name":"archives","Size":-1,"IsDir":true},
        {"Path":"n8n/archives/n8n-2026-11-01.tar.gz","Name":"x","Size":10,"IsDir":false},
        {"Path":"n8n/archives/n8n-2026-11-08.tar.gz","Name":"x","Size":20,"IsDir":false},
        {"Path":"n8n/archives/n8n-2026-11-08.manifest.gz","Name":"x","Size":2,"IsDir":false},
        {"Path":"n8n/archives/n8n-2026-11-15.tar.gz.partial","Name":"x","Size":5,"IsDir":false},
        {"Path":"n8n-x/archives/n8n-2026-11-22.tar.gz","Name":"x","Size":5,"IsDir":false},
        {"Path":"n8n/.versions/2026-11-02","Name":"x","Size":-1,"IsDir":true},
        {"Path":"n8n/.versions/2026-11-01","Name":"x","Size":-1,"IsDir":true}]"#,
    );
    let holding = Holding::of(&service, &entries);
    let archives: Vec<(String, u64, bool)> = holding
        .archives
        .iter()
        .map(|stored| (stored.name.to_string(), stored.bytes, stored.manifest))
        .collect();
    assert_eq!(
        archives,
        [
            ("n8n-2026-11-08.tar.gz".to_owned(), 20, true),
            ("n8n-2026-11-01.tar.gz".to_owned(), 10, false),
        ]
    );
    assert_eq!(
        holding.leftovers,
        [("n8n-2026-11-15.tar.gz.partial".to_owned(), 5)]
    );
    assert_eq!(holding.versions.len(), 2);
    let config = Config::parse("[services.n8n-x]").unwrap();
    assert_eq!(strangers(&config, &entries), ["n8n"]);
}
