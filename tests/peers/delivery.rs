//! Delivery to real receivers: HTTP over real sockets, a real Kafka that a consumer reads
//! back, real Alertmanagers and a real mail server.

mod alertmanager;
mod email;
mod kafka;
mod notifier;
mod receiver;
mod schema;
mod services;
mod webhook;
