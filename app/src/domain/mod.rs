//! The rules, without I/O: nothing here waits, reads a file or asks for the time.
