//! The victims of the nights in `killing`, and the dice that choose them.
//!
//! Invariant: the same seed gives the same victims and moments.

/// The part that is killed or hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Client,
    Gate,
    Rclone,
    /// One of the keeper and its standby.
    Keeper,
    /// Client, gate, and every process below, except the keeper and its standby.
    Host,
    /// The same, plus the keeper and its standby.
    Everything,
    /// The gate is not killed but stopped by a signal, with the locks that it holds.
    Halted,
    /// The disk of the data no longer answers.
    Disk,
    /// The command that stops the service hangs.
    Command,
    /// The service is moved by podmanctl, and a call of podman hangs.
    Podman,
    /// The same, and a call of systemctl hangs.
    Systemctl,
}

pub(crate) const VICTIMS: [Victim; 11] = [
    Victim::Client,
    Victim::Gate,
    Victim::Rclone,
    Victim::Keeper,
    Victim::Host,
    Victim::Everything,
    Victim::Halted,
    Victim::Disk,
    Victim::Command,
    Victim::Podman,
    Victim::Systemctl,
];

impl Victim {
    /// The calls that can hang when podmanctl moves the service.
    pub(crate) fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Podman => &[
                "podman ps",
                "podman container",
                "podman stop",
                "podman start",
            ],
            Self::Systemctl => &[
                "systemctl list-unit-files",
                "systemctl show",
                "systemctl stop",
                "systemctl start",
            ],
            _ => &[],
        }
    }

    /// True if this part stays and never answers.
    pub(crate) fn hangs(self) -> bool {
        matches!(self, Self::Halted | Self::Disk | Self::Command) || !self.calls().is_empty()
    }
}

/// xorshift64*: a failed test can be repeated with its seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// Neighbouring seeds, used by the worlds of one run, must not give the same moments; see splitmix64.
    pub(crate) fn new(seed: u64) -> Self {
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Self((mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}
