"""The whole system on one machine: what the cloud and the exchange do elsewhere, played on loopback."""
