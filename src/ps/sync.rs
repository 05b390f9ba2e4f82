//! The locks and atomics through which threads share state, on this floor and in the engine.
//!
//! They are the standard library's. In the unit tests of a build with the feature `shuttle` they are
//! those of a model checker, which runs the same code through other and other interleavings;
//! `.ci/run` has the command.

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use shuttle::sync::atomic::{AtomicI64, AtomicU64};
#[cfg(all(test, feature = "shuttle"))]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
#[cfg(all(test, feature = "shuttle"))]
pub(crate) use shuttle::sync::{RwLockWriteGuard, atomic::AtomicBool};

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
