//! Bytes in, bytes out: stdio, Streamable HTTP and in process, both sides, and TLS. It moves messages; what they mean, and
//! who may send them, is the gateway's matter. The server side writes nothing but sealed replies and what an outlet carries.

pub mod child;
pub mod client;
pub mod inbound;
pub mod launcher;
pub mod lines;
pub mod outlet;
pub mod server;
pub mod sse;
pub mod tls;
mod turn;
pub mod upstream;

pub use inbound::{Ask, Authorization, Doorkeeper, Handled, Handler, Inbound, Knock, Peer, TurnedAway};
pub use outlet::{Delivery, Outlet, OutletClosed, OutletEnd, Reply};
pub use upstream::{
    BoxFuture, CancelOnDrop, Connected, Eras, Event, EventSource, Exchange, Hello, Outgoing, Server, Stray, Upstream,
    UpstreamError,
};
