//! The gradient by an independent reference, whole runs.
