//! The versions of rclone, and the kinds of remotes that each can work with: one table.
//!
//! Invariant: only this table compares a version of rclone with a number.

use std::fmt;

/// A version of rclone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

/// Debian 12 and 13 have 1.60.1.
const DEBIANS: Version = Version(1, 60, 0);

/// One row: the versions that a kind of remote needs.
struct Row {
    /// The value of `type`; empty for every other kind.
    kind: &'static str,
    /// The oldest version that works; older ones may not work at all.
    works: Version,
    /// The oldest version without faults; older ones work, with faults.
    well: Version,
    /// The reason why versions before `works` may fail.
    fails: &'static str,
    /// The faults of versions before `well`.
    faults: &'static str,
}

/// The last row applies to every kind without a row.
const TABLE: [Row; 2] = [
    Row {
        kind: "onedrive",
        works: Version(1, 67, 0),
        well: Version(1, 70, 0),
        fails: "before 1.67 it sends its sign-in along with each upload and download, which Microsoft refuses for many accounts",
        faults: "before 1.70 it does not wait for as long as OneDrive asks it to, and sends whole files again",
    },
    Row {
        kind: "",
        works: Version(0, 0, 0),
        well: DEBIANS,
        fails: "",
        faults: "the gate is tried with 1.60 and newer",
    },
];

/// The oldest version that can serve all requests of an action as one process on a socket from the gate. Before 1.68
/// rclone accepts no socket, and would have to create one.
pub const ONE_PROCESS: Version = Version(1, 68, 0);

/// The advice for a kind of remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// Works without known faults.
    Fine,
    /// Works, with faults.
    Faulty {
        /// The oldest version without them.
        needs: Version,
        /// The faults.
        reason: &'static str,
    },
    /// May not work at all; only a write probe can tell.
    TooOld {
        /// The oldest version that works.
        needs: Version,
        /// The reason.
        reason: &'static str,
    },
}

impl Version {
    /// Reads the first line of `rclone version`: `rclone v1.60.1-DEV`.
    #[must_use]
    pub fn parse(said: &str) -> Option<Self> {
        let number = said.lines().next()?.trim().strip_prefix("rclone v")?;
        let mut parts = number
            .split(['.', '-', '+'])
            .map(|part| part.parse::<u32>().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        Some(Self(major, minor, parts.next().flatten().unwrap_or(0)))
    }

    /// The advice on this version for a kind of remote (the value of `type`).
    #[must_use]
    pub fn fitness(self, kind: &str) -> Fitness {
        let row = TABLE
            .iter()
            .find(|row| row.kind == kind || row.kind.is_empty());
        match row {
            Some(row) if self < row.works => Fitness::TooOld {
                needs: row.works,
                reason: row.fails,
            },
            Some(row) if self < row.well => Fitness::Faulty {
                needs: row.well,
                reason: row.faults,
            },
            _ => Fitness::Fine,
        }
    }

    /// The worst advice among these kinds, with the kind it applies to.
    #[must_use]
    pub fn worst<'k>(self, kinds: impl IntoIterator<Item = &'k String>) -> (&'k str, Fitness) {
        let mut worst = ("", Fitness::Fine);
        for kind in kinds {
            let fitness = self.fitness(kind);
            let rank = |fitness: &Fitness| match fitness {
                Fitness::Fine => 0,
                Fitness::Faulty { .. } => 1,
                Fitness::TooOld { .. } => 2,
            };
            if worst.0.is_empty() || rank(&fitness) > rank(&worst.1) {
                worst = (kind, fitness);
            }
        }
        worst
    }
}

/// True for a kind of remote that needs a newer rclone than Debian's, so that the version has to be known.
#[must_use]
pub fn is_particular(kind: &str) -> bool {
    TABLE.iter().any(|row| row.kind == kind)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn a_version_is_read_from_what_rclone_says() {
        assert_eq!(
            of("rclone v1.60.1-DEV\n- os/version: debian 12\n"),
            Version(1, 60, 1)
        );
        assert_eq!(of("rclone v1.75.2\n").to_string(), "1.75.2");
        assert_eq!(of("rclone v1.68.0-beta.8198"), Version(1, 68, 0));
        assert_eq!(of("rclone v2.0"), Version(2, 0, 0));
        for said in ["", "rclone", "rclone v", "rclone v1", "rclone v1.x", "1.2"] {
            assert_eq!(Version::parse(said), None, "{said}");
        }
    }

    #[test]
    fn onedrive_needs_more_than_other_remotes() {
        let rank = |version: &str, kind: &str| match of(version).fitness(kind) {
            Fitness::Fine => "fine",
            Fitness::Faulty { .. } => "faulty",
            Fitness::TooOld { .. } => "too old",
        };
        for (version, onedrive, others) in [
            ("rclone v1.53.3", "too old", "faulty"),
            ("rclone v1.60.1-DEV", "too old", "fine"),
            ("rclone v1.66.9", "too old", "fine"),
            ("rclone v1.67.0", "faulty", "fine"),
            ("rclone v1.69.3", "faulty", "fine"),
            ("rclone v1.70.0", "fine", "fine"),
            ("rclone v1.75.2", "fine", "fine"),
            ("rclone v2.0.0", "fine", "fine"),
        ] {
            assert_eq!(rank(version, "onedrive"), onedrive, "{version}");
            assert_eq!(rank(version, "sftp"), others, "{version}");
        }
        let kinds = ["local".to_owned(), "onedrive".to_owned()];
        assert_eq!(of("rclone v1.60.1").worst(&kinds).0, "onedrive");
        assert_eq!(of("rclone v1.75.2").worst(&[]), ("", Fitness::Fine));
    }
}
