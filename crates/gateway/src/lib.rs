//! The gateway: read `pipeline/mod.rs` first. Each stage of it is the module of that name, and the modules stand here in the
//! order of the stages: arrows point back only.

pub mod identity;

pub mod catalog;

mod session;

mod answer;

pub mod policy;

mod screen;

mod route;

mod labels;

mod trail;

mod refusal;

mod pipeline;

pub use pipeline::{Gateway, Parts};
pub use route::UpstreamPlan;
pub use screen::{Declared, HiddenAction, NoChance, Screen, ScreenSettings};
pub use session::{SessionLimits, Sessions};
pub use trail::{RecordSettings, Recorder};
