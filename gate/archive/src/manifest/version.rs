//! The versions of a manifest. All stay readable.

/// Format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Written up to release 0.1. Its archives hold no attributes: the gate's own reader found none.
    One,
    /// With attributes, offsets and the index of gzip members.
    Two,
}

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::One, Self::Two];

    pub(super) const fn first(self) -> &'static str {
        match self {
            Self::One => "backupctl-manifest 1 ",
            Self::Two => "backupctl-manifest 2 ",
        }
    }
}
