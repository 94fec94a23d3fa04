//! Light subscribers of a cluster, and receivers.
