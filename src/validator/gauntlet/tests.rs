//! Claims about the machine as a whole.
