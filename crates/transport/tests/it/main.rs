//! The integration tests of the transport, in one binary: each module is one subject.

mod child;
mod server_http;
mod server_figures;
mod server_http2_tls;
mod server_script;
mod server_stdio;
