//! Receivers by name, compiled from their settings.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bellwether_schema::{Diagnostic, Diagnostics, Spanned, did_you_mean};

use super::settings::ReceiverSettings;
use super::tree::{Channels, Fallback, Receiver};

/// Receivers by name; each channel is a receiver of its own name, too.
pub(crate) struct Receivers<'a> {
    settings: &'a [ReceiverSettings],
    by_name: HashMap<&'a str, Arc<Receiver>>,
    all: Channels,
    used: BTreeSet<String>,
}

impl<'a> Receivers<'a> {
    /// Compiles the settings; `channels` has the name of each channel, and whether it is enabled.
    pub(crate) fn new(
        settings: &'a [ReceiverSettings],
        channels: &'a [(String, bool)],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let enabled = channels.iter().filter(|(_, enabled)| *enabled);
        let mut receivers = Self {
            settings,
            by_name: HashMap::new(),
            all: enabled.map(|(name, _)| name.as_str().into()).collect(),
            used: BTreeSet::new(),
        };
        receivers.add_channels(channels);
        let mut seen = BTreeSet::new();
        for receiver in settings {
            if !seen.insert(receiver.name.as_str()) {
                let message = format!("duplicate receiver {:?}", receiver.name.as_str());
                diagnostics
                    .error(&receiver.name.at, message)
                    .hint("give it another name");
            }
            receivers.add(
                &receiver.name.value,
                members(receiver, channels, diagnostics),
            );
        }
        receivers.add_fallbacks(diagnostics);
        receivers
    }

    /// Adds a receiver for each channel; that of a disabled one has no channel.
    fn add_channels(&mut self, channels: &'a [(String, bool)]) {
        let all = self.all.clone();
        for (name, _) in channels {
            let own = all.iter().filter(|channel| ***channel == **name);
            self.add(name, own.cloned().collect());
        }
    }

    fn add(&mut self, name: &'a str, channels: Channels) {
        let receiver = Receiver {
            name: name.to_owned(),
            channels,
            fallback: None,
        };
        self.by_name.insert(name, Arc::new(receiver));
    }

    fn add_fallbacks(&mut self, diagnostics: &mut Diagnostics) {
        for receiver in self.settings {
            let Some(name) = &receiver.fallback else {
                continue;
            };
            if *name.value == *receiver.name.value {
                diagnostics.error(&name.at, "a receiver cannot be its own fallback");
            }
            let Some(target) = self.named(name, diagnostics) else {
                continue;
            };
            let fallback = Fallback {
                receiver: target.name.clone(),
                channels: target.channels.clone(),
                after: receiver.fallback_after.0,
            };
            if let Some(compiled) = self.by_name.get_mut(receiver.name.as_str()) {
                *compiled = Arc::new(Receiver {
                    fallback: Some(fallback),
                    ..Receiver::clone(compiled)
                });
            }
        }
    }

    /// Returns the receiver or channel called `name`; reports an unknown name.
    pub(crate) fn named(
        &mut self,
        name: &Spanned<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Receiver>> {
        self.used.insert(name.value.clone());
        let receiver = self.by_name.get(name.as_str()).cloned();
        if receiver.is_none() {
            let hint = did_you_mean(name, self.by_name.keys().copied()).unwrap_or_else(|| {
                "add it to `alerting.receivers`, or use the name of a channel".into()
            });
            diagnostics
                .error(&name.at, format!("no receiver {:?}", name.value))
                .hint(hint);
        }
        receiver
    }

    /// Returns all enabled channels.
    pub(crate) fn all(&self) -> Channels {
        self.all.clone()
    }

    /// Returns a warning for each receiver that is not used.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Diagnostic> {
        let unused = self
            .settings
            .iter()
            .filter(|receiver| !self.used.contains(&receiver.name.value));
        unused.map(|receiver| Diagnostic {
            location: receiver.name.at.clone(),
            message: format!("receiver {:?} is not used", receiver.name.value),
            help: Some("use it in a route, or remove it".into()),
        })
    }
}

/// Returns the enabled channels of `receiver`; reports unknown ones.
fn members(
    receiver: &ReceiverSettings,
    channels: &[(String, bool)],
    diagnostics: &mut Diagnostics,
) -> Channels {
    let mut members: Vec<Arc<str>> = Vec::new();
    for channel in &receiver.channels {
        match channels.iter().find(|(name, _)| *name == channel.value) {
            Some((name, true)) => members.push(name.as_str().into()),
            Some(_) => {}
            None => {
                let names = channels.iter().map(|(name, _)| name.as_str());
                let hint = did_you_mean(channel, names)
                    .unwrap_or_else(|| "add it to `notifications.channels`".into());
                diagnostics
                    .error(&channel.at, format!("no channel {:?}", channel.value))
                    .hint(hint);
            }
        }
    }
    members.into()
}
