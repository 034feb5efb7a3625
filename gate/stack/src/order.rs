//! The order in which the members of a stack are started; they are stopped in the reverse.
//!
//! systemd keeps the order among its jobs, but `systemctl` hands them over one by one: the first unit may be gone
//! before systemd hears of the second. Podman goes by the order of its arguments, or by none.
//!
//! Invariant: every member comes after the members that it names as earlier, unless they name each other in a circle.

use super::container::Container;
use super::unit::Unit;
use base::sort;

/// The units, each after those that it says it is started after.
#[must_use]
pub fn of_units(units: &[Unit]) -> Vec<&Unit> {
    let mut sorted: Vec<&Unit> = units.iter().collect();
    sort::sort_by(&mut sorted, |a, b| a.id.cmp(&b.id));
    arranged(&sorted, |unit| &unit.id, |unit| &unit.after)
}

/// The containers, each after those that it requires; others in the order in which they were created.
#[must_use]
pub fn of_containers<'a>(containers: impl Iterator<Item = &'a Container>) -> Vec<&'a Container> {
    let mut sorted: Vec<&Container> = containers.collect();
    sort::sort_by(&mut sorted, |a, b| {
        (a.created, &a.name).cmp(&(b.created, &b.name))
    });
    arranged(&sorted, |one| &one.id, |one| &one.requires)
}

/// Containers in levels: those of a level require only some of the levels before it, so each level can be stopped or
/// started at once.
#[must_use]
pub fn levels<'a>(containers: impl Iterator<Item = &'a Container>) -> Vec<Vec<&'a Container>> {
    let mut levels: Vec<Vec<&Container>> = Vec::new();
    for container in of_containers(containers) {
        let required = |level: &Vec<&Container>| {
            let mut members = level.iter();
            members.any(|other| container.requires.contains(&other.id))
        };
        let at = levels.iter().rposition(required).map_or(0, |at| at + 1);
        match levels.get_mut(at) {
            Some(level) => level.push(container),
            None => levels.push(vec![container]),
        }
    }
    levels
}

fn arranged<'a, T>(
    sorted: &[&'a T],
    name: impl Fn(&T) -> &String,
    before: impl Fn(&T) -> &[String],
) -> Vec<&'a T> {
    let mut left: Vec<&'a T> = sorted.to_vec();
    let mut arranged = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = left.iter().position(|member| {
            let waits =
                |other: &&T| name(other) != name(member) && before(member).contains(name(other));
            !left.iter().any(waits)
        });
        // In a circle, anyone is as good as any other.
        arranged.push(left.remove(free.unwrap_or(0)));
    }
    arranged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{container, unit};

    #[test]
    fn what_others_wait_for_comes_first() {
        let after = |id: &str, after: &[&str]| {
            let after = after.iter().map(|&name| name.to_owned()).collect();
            Unit { after, ..unit(id) }
        };
        let units = [
            after("a.service", &["b.service", "else.target"]),
            after("b.service", &["c.service"]),
            after("c.service", &[]),
        ];
        let ids: Vec<&str> = of_units(&units).iter().map(|unit| &*unit.id).collect();
        assert_eq!(ids, ["c.service", "b.service", "a.service"]);
    }

    #[test]
    fn a_circle_is_broken_and_nobody_is_lost() {
        let (mut a, mut b, c) = (container("a"), container("b"), container("c"));
        a.requires = vec![b.id.clone()];
        b.requires = vec![a.id.clone()];
        let all = [a, b, c];
        assert_eq!(of_containers(all.iter()).len(), 3);
    }

    #[test]
    fn containers_that_do_not_require_each_other_share_a_level() {
        let (a, mut b, mut c, d) = (
            container("a"),
            container("b"),
            container("c"),
            container("d"),
        );
        b.requires = vec![a.id.clone()];
        c.requires = vec![a.id.clone(), b.id.clone()];
        let all = [c, b, a, d];
        let names: Vec<Vec<&str>> = levels(all.iter())
            .iter()
            .map(|level| level.iter().map(|one| one.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "d"], vec!["b"], vec!["c"]]);
    }

    #[test]
    fn the_older_container_comes_first() {
        let (mut a, mut b, mut c) = (container("a"), container("b"), container("c"));
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0);
        (a.created, b.created, c.created) = (at(3), at(2), at(1));
        b.requires = vec![a.id.clone()];
        let all = [a, b, c];
        let names: Vec<&str> = of_containers(all.iter())
            .iter()
            .map(|one| &*one.name)
            .collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
