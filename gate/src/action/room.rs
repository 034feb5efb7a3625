//! The check, before a service is stopped, that its archive would have room.
//!
//! Invariant: this check measures the same data and the same disk as `--archive`, and leaves the service alone; after
//! the check this process can no longer read the service's data.

use super::Context;
use super::spool::would_fit;
use crate::control::State;
use crate::policy::powers;
use base::error::Failure;
use base::names::ServiceName;
use host::Patience;

/// Makes the check if the configuration asks for it. Skips a service that is down: a refusal would not help, and the
/// archive that follows checks again.
pub(super) fn ask(
    context: &mut Context<'_>,
    service: &ServiceName,
    state: &State,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if !context.config.asks_for_room(service) {
        return Ok(());
    }
    if *state != State::Down {
        let source = context.open_source(&context.config.data_of(service), patience)?;
        let found = context.measure(&source, patience)?;
        if let Err(failure) = would_fit(context, service, found.bound) {
            context.warn(format!(
                "{service} is not stopped, because an archive of it would be refused"
            ));
            return Err(failure);
        }
    }
    context.host.give_up(powers::once_measured())
}
