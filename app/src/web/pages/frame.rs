//! The layout of pages after the login: the navigation and the user.

use super::PageViewer;

/// A part of the site, as the navigation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Tasks,
    Runs,
    Pools,
    Variables,
    Scripts,
    Libraries,
    Notifications,
    Settings,
}

impl Section {
    /// Reports if only admins may see it.
    fn is_for_admins(self) -> bool {
        matches!(self, Self::Notifications)
    }
}

/// The navigation, in its order. A new part of the site is one line here.
const SECTIONS: &[(Section, &str, &str)] = &[
    (Section::Overview, "/", "Overview"),
    (Section::Tasks, "/tasks", "Tasks"),
    (Section::Runs, "/runs", "Runs"),
    (Section::Pools, "/pools", "Pools"),
    (Section::Variables, "/variables", "Variables"),
    (Section::Scripts, "/scripts", "Scripts"),
    (Section::Libraries, "/libraries", "Libraries"),
    (Section::Notifications, "/notifications", "Notifications"),
    (Section::Settings, "/settings", "Settings"),
];

/// A part of the settings, which have a navigation of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Users,
    Tokens,
    Account,
    Sessions,
    Audit,
    Server,
    Certificate,
    Snapshots,
    Api,
    About,
}

/// The parts in the order of their navigation. A new one is one line here.
const PARTS: &[(Part, &str, &str)] = &[
    (Part::Server, "/settings/server", "Server"),
    (Part::Users, "/settings/users", "Users"),
    (Part::Tokens, "/settings/tokens", "API tokens"),
    (Part::Account, "/settings/account", "Your account"),
    (Part::Sessions, "/settings/sessions", "Sessions"),
    (Part::Audit, "/settings/audit", "Audit"),
    (Part::Certificate, "/settings/certificate", "Certificate"),
    (Part::Snapshots, "/settings/snapshots", "Snapshots"),
    (Part::Api, "/settings/api", "API"),
    (Part::About, "/settings/about", "About"),
];

impl Part {
    /// Reports if only admins may see it.
    fn is_for_admins(self) -> bool {
        !matches!(
            self,
            Self::Account | Self::Sessions | Self::Api | Self::About
        )
    }

    /// The parts with their addresses and labels, without those that this person may not see.
    pub(super) fn seen_by(
        admin: bool,
    ) -> impl Iterator<Item = &'static (Self, &'static str, &'static str)> {
        PARTS
            .iter()
            .filter(move |(part, ..)| admin || !part.is_for_admins())
    }
}

/// One link of the navigation.
pub(super) struct Link {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) current: bool,
}

/// The frame of a page.
pub(super) struct Frame {
    pub(super) user: String,
    /// True for an admin.
    pub(super) admin: bool,
    /// Problems of the server itself.
    pub(super) problems: Vec<String>,
    /// The zone of the times on the page.
    pub(super) zone: &'static str,
    section: Section,
    part: Option<Part>,
}

impl Frame {
    /// The frame of a page in `section`, for its viewer.
    pub(super) fn new(viewer: &PageViewer, section: Section) -> Self {
        Self {
            user: viewer.actor().name.clone(),
            admin: viewer.admin,
            problems: viewer.problems.list(),
            zone: viewer.zone.get().name(),
            section,
            part: None,
        }
    }

    /// The frame of a page within the settings.
    pub(super) fn within(viewer: &PageViewer, part: Part) -> Self {
        Self {
            part: Some(part),
            ..Self::new(viewer, Section::Settings)
        }
    }

    /// The navigation of the settings.
    pub(super) fn parts(&self) -> impl Iterator<Item = Link> {
        Part::seen_by(self.admin).map(|(part, href, label)| Link {
            href,
            label,
            current: Some(*part) == self.part,
        })
    }

    /// The navigation, without parts that this person may not see.
    pub(super) fn links(&self) -> impl Iterator<Item = Link> {
        let seen = SECTIONS
            .iter()
            .filter(|(section, ..)| self.admin || !section.is_for_admins());
        seen.map(|(section, href, label)| Link {
            href,
            label,
            current: *section == self.section,
        })
    }
}
