"""What the stack endures: workloads, arrival plans, generators, the honesty verdict."""
