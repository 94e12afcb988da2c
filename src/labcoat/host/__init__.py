"""Where things run: this machine, its sandboxes, its processes and its counters.

    base        the seam: what any host can do
    local       this machine
    sandbox     a folder, its ports and sockets, and every process started in it
    keeper      the small parent that ends a component's tree however labcoat ends
    leftovers   what killed labcoats left, ended and removed
    tree        CPU and memory of a process tree; machine: counters of the whole machine
    census      CPU of every process, to close an account
    facts       what this machine is; cgroup: the quota and limits it lives under
    readings    what the doctor looks at; spin: its probe

Refuses: to inherit an environment, to use a shell, to signal a process that is not
provably ours, to make control groups, to write outside of a sandbox. May import: model,
errors.
"""
