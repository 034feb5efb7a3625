//! What every page inside has around it: the navigation and who is logged in.

use super::PageViewer;

/// A part of the site, as the navigation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Tasks,
    Pools,
    Variables,
    Scripts,
    Notifications,
}

impl Section {
    /// Whether others than admins are refused there.
    fn is_for_admins(self) -> bool {
        matches!(self, Self::Notifications)
    }
}

/// The navigation, in its order. A new part of the site is one line here.
const SECTIONS: &[(Section, &str, &str)] = &[
    (Section::Overview, "/", "Overview"),
    (Section::Tasks, "/tasks", "Tasks"),
    (Section::Pools, "/pools", "Pools"),
    (Section::Variables, "/variables", "Variables"),
    (Section::Scripts, "/scripts", "Scripts"),
    (Section::Notifications, "/notifications", "Notifications"),
];

/// One link of the navigation.
pub(super) struct Link {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) current: bool,
}

/// The frame of a page.
pub(super) struct Frame {
    pub(super) user: String,
    /// Whether this person may change things.
    pub(super) admin: bool,
    section: Section,
}

impl Frame {
    /// The frame of a page in `section`, for whoever looks at it.
    pub(super) fn new(viewer: PageViewer, section: Section) -> Self {
        Self {
            user: viewer.name,
            admin: viewer.admin,
            section,
        }
    }

    /// The navigation, without what this person may not see.
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
