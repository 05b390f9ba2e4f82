//! Which variables to update next, and which are safe to update together.
//!
//! | file | which variables |
//! |---|---|
//! | [`all`] | everything at once |
//! | [`rotation`], [`partition`] | blocks around a ring of workers, and what makes a block |
//! | [`priority`] | those that promise most, with a floor so that nothing starves |
//! | [`dependency`] | of some candidates, those that are safe to update together |
//! | [`rounds`] | rounds of those, by priority, in turn or at random, several in flight |
//! | [`balance`] | work dealt out anew by what it was measured to cost |

pub mod all;
pub mod balance;
pub mod dependency;
pub mod partition;
pub mod priority;
pub mod rotation;
pub mod rounds;
