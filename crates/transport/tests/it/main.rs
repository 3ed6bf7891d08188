//! The integration tests of the transport, in one binary: each module is one subject.

mod child;
mod client_http;
mod client_legacy;
mod client_local;
mod client_script;
mod client_stdio;
mod client_tls;
mod server_figures;
mod server_http;
mod server_http2_tls;
mod server_intake;
mod server_legacy;
mod server_script;
mod server_stdio;
