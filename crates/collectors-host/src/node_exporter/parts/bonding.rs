//! Slaves of bonding interfaces, from `/sys/class/net`.

use std::path::PathBuf;

use super::super::directory::Directory;
use super::super::part::{GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

struct Bonding(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Bonding(setup.sys("class/net")))
}

impl Part for Bonding {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let net = Directory::optional(self.0.clone())?;
        let masters = net
            .read("bonding_masters")
            .map_err(|error| PartError::optional(&self.0.join("bonding_masters"), &error))?;
        let mut counts = Vec::new();
        for master in masters.split_whitespace() {
            let slaves = net.text(&format!("{master}/bonding/slaves"));
            let slaves = slaves.unwrap_or_default();
            let slaves: Vec<&str> = slaves.split_whitespace().collect();
            let active = slaves.iter().filter(|slave| is_up(&net, master, slave));
            counts.push((master, slaves.len() as f64, active.count() as f64));
        }
        let help = "Number of configured slaves per bonding interface.";
        run.out.begin("node_bonding_slaves", GAUGE, help);
        for (master, slaves, _) in &counts {
            run.out.push(&[("master", master)], *slaves);
        }
        let help = "Number of active slaves per bonding interface.";
        run.out.begin("node_bonding_active", GAUGE, help);
        for (master, _, active) in &counts {
            run.out.push(&[("master", master)], *active);
        }
        Ok(())
    }
}

/// Returns whether a slave has a link. Old kernels name its directory differently.
fn is_up(net: &Directory, master: &str, slave: &str) -> bool {
    let mut states = ["lower", "slave"].into_iter().filter_map(|prefix| {
        net.text(&format!(
            "{master}/{prefix}_{slave}/bonding_slave/mii_status"
        ))
    });
    states.next().as_deref() == Some("up")
}

#[cfg(test)]
mod tests {
    use super::super::super::part::PartError;
    use super::super::super::testing::{Host, collect};

    #[test]
    fn slaves_are_counted_by_their_state() {
        let host = Host::with(&[
            ("sys/class/net/bonding_masters", "bond0 dmz\n"),
            ("sys/class/net/bond0/bonding/slaves", "eth0 eth1\n"),
            (
                "sys/class/net/bond0/lower_eth0/bonding_slave/mii_status",
                "up\n",
            ),
            (
                "sys/class/net/bond0/slave_eth1/bonding_slave/mii_status",
                "down\n",
            ),
            ("sys/class/net/dmz/bonding/slaves", "\n"),
        ]);
        let expected = [
            "node_bonding_slaves{master=\"bond0\"} 2",
            "node_bonding_slaves{master=\"dmz\"} 0",
            "node_bonding_active{master=\"bond0\"} 1",
            "node_bonding_active{master=\"dmz\"} 0",
        ];
        assert_eq!(collect(&host, "bonding", "").unwrap(), expected);
        let none = collect(&Host::with(&[]), "bonding", "");
        assert_eq!(none.unwrap_err(), PartError::NoData);
    }
}
