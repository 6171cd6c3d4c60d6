// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// What a command changes on the host at the user's wish, and puts back on any end.
///
/// A command that needs it runs under <see cref="Supervised.Run"/>, which starts the program once more as a child and hands it the one HostChanges:
/// <code>
///   return Supervised.Run(context, host =&gt;
///   {
///       OwnDirectory top = host.MakeGroup("/sys/fs/cgroup/memory");   // memcgnative.PID.NONCE, marked as ours
///       OwnDirectory leaf = top.Make("leaf");
///       leaf.Write("memory.limit_in_bytes", "64M");                   // our own groups need no undo: they go as a whole
///       leaf.Write("cgroup.procs", pid);                              // our own processes only
///       OwnDirectory trace = host.MakeTraceInstance();                // instances/memcgnative.PID.NONCE, the global trace untouched
///       trace.Write("set_event", "page_counter:*");
///       host.RaisePool(pool, pages);                                  // hugetlb pages of a node: up only, at most 25 % of memory
///       ...
///   });                                                               // here all of it is gone again
/// </code>
/// Order of each change: a line in the journal, fsync, the change. Who undoes: the child at its end, also after Ctrl-C and an exception; the
/// supervisor when the child was killed; the child when the supervisor was killed (SIGTERM by PR_SET_PDEATHSIG); the next command that may change the host, or
/// `memcgnative cleanup`, when both were. A setting that is neither ours nor the old one was changed by somebody else and is left alone, with a line that says so.
/// Processes that the command leaves in its groups are killed when they descend from it; others are never touched, and their group stays.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class HostChanges : IDisposable
{
    /// <summary>A pool never takes more of its node than this.</summary>
    public const double MostOfMemory = 0.25;

    private readonly UndoJournal journal;
    private readonly TextWriter error;

    public HostChanges(UndoJournal journal, TextWriter error) => (this.journal, this.error) = (journal, error);

    /// <summary>An own group at the top of a hierarchy, or below a group that was delegated to the user.</summary>
    /// <param name="parent">A directory of cgroup v1 or v2, "/sys/fs/cgroup/memory".</param>
    /// <exception cref="OsException">Not there, no cgroup file system, read-only, or no permission: exit 3.</exception>
    public OwnDirectory MakeGroup(string parent) => MakeTop(parent, UndoKind.Group);

    /// <summary>An own tracing instance.</summary>
    /// <exception cref="OsException">tracefs is not mounted, or no permission: exit 3.</exception>
    public OwnDirectory MakeTraceInstance(string tracing = "/sys/kernel/tracing")
    {
        if (!Directory.Exists(tracing + "/instances"))
            throw new OsException("openat2", Errno.ENOENT, $"{tracing} has no instances: tracefs is not mounted there", $"As root: mount -t tracefs nodev {tracing}");
        return MakeTop(tracing + "/instances", UndoKind.TraceInstance);
    }

    /// <summary>Raises a node's pool of huge pages so that at least this many are free; the pages the kernel gave, which may be fewer.</summary>
    /// <exception cref="UsageException">More than a quarter of the node's memory.</exception>
    /// <exception cref="OsException">No permission; or somebody else's run has raised this pool and not put it back.</exception>
    public long RaisePool(HugePagePool pool, long freePages)
    {
        long wanted = pool.TotalPages + freePages - pool.FreePages;
        if (wanted <= pool.TotalPages) return pool.FreePages;
        string path = HugePages.PoolPath(pool.Node, pool.Kind);
        if (HugePages.NodeBytes(pool.Node) is { } has && wanted * (double)pool.Kind.Bytes > has * MostOfMemory)
            throw new UsageException($"--grow-pool: {wanted} pages of {pool.Kind} on node {pool.Node} are more than 25 % of its memory; ask for less with --footprint",
                ofThisMachine: true);
        if (UndoJournal.OthersWith(path, journal) is { } other)
            throw new OsException("write", Errno.EBUSY, $"--grow-pool: {path} is raised by another run (process {other.Pid})",
                "Wait for it, or if it is gone: memcgnative cleanup");
        journal.Add(UndoKind.Pool, path, old: Text(pool.TotalPages), ours: Text(wanted));
        using (HostDirectory directory = HostDirectory.Open(Path.GetDirectoryName(path)!)) directory.Write(Path.GetFileName(path), Text(wanted));
        HugePagePool now = HugePages.Pools(pool.Kind).First(p => p.Node == pool.Node);
        if (now.TotalPages < wanted) error.WriteLine($"memcgnative: --grow-pool: the kernel gave {now.TotalPages} of {wanted} pages of {pool.Kind} on node {pool.Node}");
        return now.FreePages;
    }

    /// <summary>Undoes everything, last first; what cannot be undone is said and stays in the journal.</summary>
    public void Dispose()
    {
        foreach (string refusal in journal.UndoAll(killDescendants: true)) error.WriteLine($"memcgnative: {refusal}");
    }

    private OwnDirectory MakeTop(string parent, UndoKind kind)
    {
        using HostDirectory directory = HostDirectory.Open(parent);
        if (!Undo.Belongs(kind, directory.FileSystem))
            throw new OsException("fstatfs", 0, $"{parent} is no {(kind == UndoKind.Group ? "cgroup hierarchy" : "tracefs")}");
        return OwnDirectory.Make(journal, kind, directory, journal.TopName);
    }

    private static string Text(long n) => n.ToString(CultureInfo.InvariantCulture);
}
