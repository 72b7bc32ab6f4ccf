"""The limiter's hands in the kernel: cgroup files, systemd units, tc."""
