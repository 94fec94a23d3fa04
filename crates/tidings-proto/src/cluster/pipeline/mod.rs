//! The commands of a pipeline in a cluster: which node gets which of them, and what becomes of those that it does not run.
//!
//! ```text
//!                      ┌─▶ group ─▶ node ─▶ replies ───────────────────────────┐
//!   pipeline ─▶ plan ──┼─▶ group ─▶ node ─▶ replies ─┐                          ├─▶ mend ─▶ replies in order
//!                      └─▶ group ─▶ node ─▶ (lost)   │ redirected, or not sent   │
//!                                              ▼      ▼                          │
//!                                             Resend ─▶ flight ─▶ node ─▶ replies ┘
//! ```
//!
//! What goes well costs one look at each command and one at its reply. All else is in [`Resend`].

mod flight;
mod mend;
#[cfg(test)]
mod model;
mod plan;
mod resend;
mod settle;
#[cfg(test)]
mod tests;

pub use flight::{Flight, FlightItem, RoutedCommand};
pub use mend::{Mended, mend};
pub use plan::{NodeGroup, PipelineCommands, PipelinePlan, PipelineRefusal};
pub use resend::{Outcome, Resend};
pub use settle::{FlightAnswer, Loss};
