//! Gradients by differences, steps by an independent reference, whole runs.
