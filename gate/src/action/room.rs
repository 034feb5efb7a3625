//! Whether an archive of a service would have room, asked before the service is stopped.
//!
//! Invariant: what is measured, and against what, is what `--archive` measures; nothing of the service is touched;
//! and once it was asked nobody here can read its data any more.

use super::Context;
use super::spool::would_fit;
use crate::control::State;
use crate::error::Failure;
use crate::host::Patience;
use crate::names::ServiceName;
use crate::policy::powers;

/// Asks where the configuration says so. A service that is down is not asked for: refusing would bring nobody
/// anything, and the archive that follows asks once more.
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
