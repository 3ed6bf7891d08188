//! The program: reads the command line and the file, builds a plan, runs it.

mod config;
mod demo;

fn main() {}
