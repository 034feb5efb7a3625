//! Two nights of a random tree, and a remote in memory: the steps are interrupted everywhere, and each time the last
//! complete night can be composed.

use std::collections::BTreeMap;

use archive::digest::{Digest, Hasher};
use archive::entry::{Attributes, Moment};
use archive::manifest::{NotedAttributes, Record};
use proptest::prelude::*;

use crate::changes::{Item, ItemReader, Work};
use crate::diff::{BundleLimit, Diff, Known, has_content};
use crate::fits::{Fits, Rules};
use crate::names::IncomingName;
use crate::order::compare;
use crate::plan::{Changed, Now, Pass, Step, steps, stored_at};
use crate::portion::Numbers;

/// Path → letter and content.
type Tree = BTreeMap<Vec<u8>, (char, u8)>;

fn digest(content: u8) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(&[content]);
    hasher.finish()
}

fn record(path: &[u8], letter: char, content: u8) -> Record {
    Record {
        letter,
        mode: 0o644,
        uid: 0,
        gid: 0,
        // Contents 0 to 3 differ by size, the others by time alone.
        modified: Moment {
            seconds: i64::from(content / 4),
            nanoseconds: 0,
        },
        size: match letter {
            'f' => u64::from(content % 4),
            _ => 0,
        },
        content: None,
        attributes: NotedAttributes::All(Attributes::default()),
        path: path.to_vec(),
        target: (letter == 'l').then(|| vec![content]),
        at: None,
        hash: None,
    }
}

fn sorted(tree: &Tree) -> Vec<(&Vec<u8>, &(char, u8))> {
    let mut all: Vec<_> = tree.iter().collect();
    all.sort_by(|one, other| compare(one.0, other.0));
    all
}

fn manifest(tree: &Tree) -> Vec<Known> {
    let all = sorted(tree).into_iter();
    all.map(|(path, (letter, content))| {
        let mut record = record(path, *letter, *content);
        record.content = (*letter == 'f').then(|| digest(*content));
        Known {
            record,
            bundled: false,
        }
    })
    .collect()
}

fn files(tree: &Tree) -> BTreeMap<Vec<u8>, u8> {
    tree.iter()
        .filter(|(_, (letter, _))| has_content(*letter))
        .map(|(path, (letter, content))| (stored_at(path, *letter), *content))
        .collect()
}

/// A remote: the data, the incoming folder and the versions.
#[derive(Clone, Default)]
struct Remote {
    data: BTreeMap<Vec<u8>, u8>,
    incoming: BTreeMap<IncomingName, u8>,
    versions: BTreeMap<Vec<u8>, u8>,
}

impl Remote {
    /// One step, as the action makes it.
    fn make(&mut self, step: &Step) {
        match step {
            Step::Aside(file) => {
                if let Some(content) = self.data.remove(file) {
                    assert!(self.versions.insert(file.clone(), content).is_none());
                }
            }
            Step::Place { from, to, .. } => {
                let content = self.incoming.remove(from).expect("the content is there");
                let folder = [to.as_slice(), b"/"].concat();
                let is_free = !self.data.keys().any(|known| known.starts_with(&folder));
                assert!(is_free, "a folder is in the way");
                assert!(self.data.insert(to.clone(), content).is_none());
            }
            Step::RemoveFolder(folder) => {
                let within = [folder.as_slice(), b"/"].concat();
                assert!(!self.data.keys().any(|known| known.starts_with(&within)));
            }
        }
    }
}

struct Nights {
    before: Vec<Known>,
    delta: Vec<Changed>,
    remote: Remote,
}

fn nights(one: &Tree, two: &Tree) -> Nights {
    let before = manifest(one);
    let mut list = Vec::new();
    let mut rest = before.clone().into_iter();
    let mut next = || Ok(rest.next());
    let fits = Fits::new(Rules::of("local", "", "/r"));
    let limit = BundleLimit { bytes: 100 };
    let mut diff = Diff::new(&mut next, fits, limit, &mut list);
    for (path, (letter, content)) in sorted(two) {
        diff.see(record(path, *letter, *content)).unwrap();
    }
    let summary = diff.finish().unwrap();
    assert_eq!(summary.is_empty(), one == two);
    let mut reader = ItemReader::new(list.as_slice(), 0);
    let mut remote = Remote {
        data: files(one),
        ..Remote::default()
    };
    let mut numbers = Numbers::default();
    let mut delta = Vec::new();
    while let Some(Item { work, record, .. }) = reader.item().unwrap() {
        let content = two.get(&record.path).map_or(0, |(_, content)| *content);
        let is_same = record.content == Some(digest(content));
        let sent = work == Work::Send || (work == Work::Compare && !is_same);
        let incoming = sent.then(|| numbers.next(digest(content)));
        if let Some(name) = &incoming {
            remote.incoming.insert(name.clone(), content);
        }
        delta.push(Changed {
            path: record.path.clone(),
            now: (work != Work::Gone).then_some(Now {
                letter: record.letter,
                incoming,
                size: record.size,
                bundled: false,
            }),
        });
    }
    Nights {
        before,
        delta,
        remote,
    }
}

impl Nights {
    /// All steps from this state of the remote on, as an action makes them after it listed the incoming folder.
    fn run(&self, remote: &mut Remote, mut left: usize, folds_case: bool) -> bool {
        let there = remote.incoming.clone();
        for pass in Pass::order(folds_case) {
            let mut before = self.before.clone().into_iter();
            let mut delta = self.delta.clone().into_iter().map(|mut changed| {
                // A content that is not in the folder is in its place.
                if let Some(now) = &mut changed.now {
                    now.incoming = now.incoming.take().filter(|name| there.contains_key(name));
                }
                changed
            });
            let done = steps(
                &mut || Ok(before.next()),
                &mut || Ok(delta.next()),
                pass,
                &mut |step| {
                    if left == 0 {
                        return Err(base::error::Failure::Verification("killed".into()));
                    }
                    left -= 1;
                    remote.make(&step);
                    Ok(())
                },
            );
            if done.is_err() {
                return false;
            }
        }
        true
    }

    /// The files of the second night, by the rule of a restore.
    fn composed(&self, remote: &Remote, two: &Tree) -> BTreeMap<Vec<u8>, u8> {
        let incoming: BTreeMap<_, _> = self
            .delta
            .iter()
            .filter_map(|changed| Some((&changed.path, changed.now.as_ref()?.incoming.as_ref()?)))
            .collect();
        two.iter()
            .filter(|(_, (letter, _))| has_content(*letter))
            .map(|(path, (letter, _))| {
                let file = stored_at(path, *letter);
                let name = incoming.get(path);
                let content = name
                    .and_then(|name| remote.incoming.get(*name))
                    .or_else(|| remote.data.get(&file));
                (file, *content.expect("the content is somewhere"))
            })
            .collect()
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec("[abA]", 1..4);
    prop::collection::vec((path, "[fdlp]", 0_u8..12), 0..12).prop_map(|entries| {
        let mut tree = Tree::new();
        tree.insert(b"data".to_vec(), ('d', 0));
        for (parts, letter, content) in entries {
            let mut path = b"data".to_vec();
            let letter = letter.chars().next().unwrap_or('f');
            let mut fits = true;
            for part in &parts {
                fits &= tree.get(&path).is_none_or(|(letter, _)| *letter == 'd');
                if fits {
                    tree.entry(path.clone()).or_insert(('d', 0));
                }
                path.push(b'/');
                path.extend(part.as_bytes());
            }
            if fits && !tree.contains_key(&path) {
                let content = if letter == 'd' || letter == 'p' {
                    0
                } else {
                    content
                };
                tree.insert(path, (letter, content));
            }
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_interruption_at_any_step_leaves_the_second_night(one in any_tree(), two in any_tree(), folds in any::<bool>()) {
        let nights = nights(&one, &two);
        let expected = files(&two);
        for left in 0.. {
            let mut remote = nights.remote.clone();
            let whole = nights.run(&mut remote, left, folds);
            prop_assert_eq!(&nights.composed(&remote, &two), &expected);
            if !whole {
                prop_assert!(nights.run(&mut remote, usize::MAX, folds));
            }
            prop_assert_eq!(&remote.data, &expected);
            prop_assert!(remote.incoming.is_empty());
            // Nothing of the first night is lost.
            for (file, content) in files(&one) {
                let kept = remote.versions.get(&file).or(remote.data.get(&file));
                prop_assert!(kept.is_some(), "{:?} {}", file, content);
            }
            if whole {
                break;
            }
        }
    }
}
