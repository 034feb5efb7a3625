use super::*;

pub(crate) fn unit(id: &str) -> Unit {
    Unit {
        id: id.into(),
        kind: Kind::Service,
        source: format!(
            "/etc/containers/systemd/{}",
            id.replace(".service", ".container")
        ),
        activity: Activity::Active,
        words: String::new(),
        lasting: true,
        startable: true,
        wanted_by: Vec::new(),
        after: Vec::new(),
        triggered_by: Vec::new(),
        generated: true,
        stops: Vec::new(),
    }
}

pub(crate) fn container(name: &str) -> Container {
    Container {
        id: name.repeat(64),
        name: name.into(),
        life: Life::Running,
        health: Health::Unchecked,
        words: "running".into(),
        unit: None,
        project: None,
        pod: None,
        fleeting: false,
        broken: false,
        created: None,
        requires: Vec::new(),
        restarts: false,
    }
}

fn wanted(id: &str, by: &str) -> Unit {
    Unit {
        wanted_by: vec![by.into()],
        ..unit(id)
    }
}

fn resting(unit: Unit) -> Unit {
    Unit {
        activity: Activity::Resting,
        ..unit
    }
}

fn stack(units: &[Unit], containers: &[Container]) -> Stack {
    Stack {
        units: units.to_vec(),
        containers: containers.to_vec(),
    }
}

fn whole(stack: &Stack) -> Whole {
    stack.whole(&stack.expected(None))
}

fn names(units: &[&str], containers: &[&str]) -> Selection {
    let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Selection {
        units: all(units),
        containers: all(containers),
    }
}

#[test]
fn a_stack_is_up_or_down_only_as_a_whole() {
    let (a, b) = (unit("a.service"), unit("b.service"));
    let changing = Unit {
        activity: Activity::Changing,
        ..a.clone()
    };
    let failed = Unit {
        activity: Activity::Failed,
        ..a.clone()
    };
    assert_eq!(whole(&stack(&[], &[])), Whole::Nothing);
    assert_eq!(whole(&stack(&[a.clone(), b.clone()], &[])), Whole::Up);
    assert_eq!(
        whole(&stack(&[resting(a.clone()), failed.clone()], &[])),
        Whole::Down
    );
    for other in [resting(a), changing, failed] {
        assert_eq!(whole(&stack(&[other, b.clone()], &[])), Whole::Partly);
    }
}

#[test]
fn a_container_that_outlives_its_unit_keeps_the_stack_from_being_down() {
    let mut left = container("a");
    left.unit = Some("a.service".into());
    let units = [resting(unit("a.service"))];
    assert_eq!(
        whole(&stack(&units, std::slice::from_ref(&left))),
        Whole::Partly
    );
    left.life = Life::Resting;
    assert_eq!(whole(&stack(&units, &[left])), Whole::Down);
}

#[test]
fn a_stack_is_up_when_its_health_checks_pass() {
    let mut one = container("a");
    one.unit = Some("a.service".into());
    for (health, expected) in [
        (Health::Unchecked, Whole::Up),
        (Health::Healthy, Whole::Up),
        (Health::Starting, Whole::Partly),
        (Health::Unhealthy, Whole::Partly),
    ] {
        one.health = health;
        let stack = stack(&[unit("a.service")], std::slice::from_ref(&one));
        assert_eq!(whole(&stack), expected, "{health:?}");
    }
}

#[test]
fn a_stack_started_as_enabled_is_what_a_target_pulls_in() {
    let units = [
        wanted("app-pod.service", "default.target"),
        wanted("app-db.service", "app-pod.service"),
        resting(unit("app-tool.service")),
    ];
    let stack = stack(&units, &[]);
    assert_eq!(
        stack.enabled(),
        names(&["app-pod.service", "app-db.service"], &[])
    );
    assert_eq!(whole(&stack), Whole::Up);
}

#[test]
fn with_nothing_enabled_everything_is() {
    let job = Unit {
        lasting: false,
        ..resting(unit("app-job.service"))
    };
    let stack = stack(&[resting(unit("app.service")), job], &[]);
    assert_eq!(stack.enabled(), names(&["app.service"], &[]));
}

#[test]
fn a_job_is_not_missed_but_has_to_end_before_the_stack_is_down() {
    let job = |activity| Unit {
        lasting: false,
        activity,
        ..unit("app-job.service")
    };
    let with = |app: Unit, activity| whole(&stack(&[app, job(activity)], &[]));
    assert_eq!(with(unit("app.service"), Activity::Resting), Whole::Up);
    assert_eq!(
        with(resting(unit("app.service")), Activity::Changing),
        Whole::Partly
    );
    let running = stack(&[unit("app.service"), job(Activity::Changing)], &[]).running();
    assert_eq!(running, names(&["app.service"], &[]));
}

#[test]
fn of_bare_containers_those_with_a_restart_policy_should_run() {
    let mut kept = container("a");
    kept.restarts = true;
    let mut ended = container("b");
    ended.life = Life::Resting;
    let both = stack(&[], &[kept, ended.clone()]);
    assert_eq!(both.enabled(), names(&[], &["a"]));
    assert_eq!(whole(&both), Whole::Up);
    // Without any policy: units that run, and units that broke. Units that ended well had their reasons.
    let plain = stack(&[], &[container("a"), ended.clone()]);
    assert_eq!(whole(&plain), Whole::Up);
    ended.broken = true;
    assert_eq!(whole(&stack(&[], &[container("a"), ended])), Whole::Partly);
}

#[test]
fn what_was_down_before_a_stop_is_not_missed_after_the_start() {
    let (a, b) = (
        wanted("a.service", "default.target"),
        wanted("b.service", "default.target"),
    );
    let before = stack(&[a.clone(), resting(b.clone())], &[]);
    assert_eq!(whole(&before), Whole::Partly);
    let mut memory = Memory::of_stop(
        None,
        "root",
        chrono::DateTime::UNIX_EPOCH,
        &before.state_before(),
    );
    assert_eq!(before.whole(&before.expected(Some(&memory))), Whole::Up);
    memory.phase = Phase::Started;
    assert_eq!(before.whole(&before.expected(Some(&memory))), Whole::Up);
    // A member that joined since is expected, and one that is gone is not.
    let more = stack(&[a, b, resting(wanted("c.service", "default.target"))], &[]);
    assert_eq!(more.whole(&more.expected(Some(&memory))), Whole::Partly);
    let fewer = stack(&[unit("d.service")], &[]);
    assert_eq!(fewer.whole(&fewer.expected(Some(&memory))), Whole::Up);
}

#[test]
fn what_cannot_be_started_again_is_not_remembered_as_running() {
    let mut fleeting = container("a");
    fleeting.fleeting = true;
    assert!(stack(&[], &[fleeting]).running().is_empty());
}

#[test]
fn what_was_stopped_is_owed_also_when_it_has_vanished() {
    let both = stack(&[unit("a.service"), unit("b.service")], &[]);
    let before = both.state_before();
    let memory = Memory::of_stop(None, "root", chrono::DateTime::UNIX_EPOCH, &before);
    let one = stack(&[unit("a.service")], &[]);
    assert_eq!(one.whole(&one.expected(Some(&memory))), Whole::Partly);
    assert_eq!(one.vanished(&memory), names(&["b.service"], &[]));
    assert!(both.vanished(&memory).is_empty());
}

#[test]
fn a_health_check_that_did_not_pass_before_is_not_waited_for_and_every_other_is() {
    let ill = |name: &str, health| Container {
        health,
        ..container(name)
    };
    let before = stack(
        &[],
        &[ill("a", Health::Unhealthy), ill("b", Health::Healthy)],
    );
    let state = before.state_before();
    let mut memory = Memory::of_stop(None, "root", chrono::DateTime::UNIX_EPOCH, &state);
    for phase in [Phase::Stopped, Phase::Started] {
        memory.phase = phase;
        let whole = |stack: &Stack| stack.whole(&stack.expected(Some(&memory)));
        assert_eq!(whole(&before), Whole::Up);
        let worse = stack(
            &[],
            &[ill("a", Health::Unhealthy), ill("b", Health::Starting)],
        );
        assert_eq!(whole(&worse), Whole::Partly);
    }
}
