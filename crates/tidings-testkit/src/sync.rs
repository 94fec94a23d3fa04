use std::sync::{Mutex, MutexGuard, PoisonError};

/// A test that panicked elsewhere must not keep this one from cleaning up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
