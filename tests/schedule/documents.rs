//! The documents' own commands.
