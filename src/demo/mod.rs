//! The demo site: quotes from films, with pictures, users and a live page.

// Its pages come with the framework; what lies under them is here, and tested.
#![allow(dead_code, unused_imports)]

mod draft;
mod password;
mod picture;
mod random;
mod settings;
mod site;
mod store;
mod throttle;
mod view;
