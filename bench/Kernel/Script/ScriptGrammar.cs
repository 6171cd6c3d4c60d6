// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>What a value that can be expected is counted in.</summary>
internal enum ValueUnit
{
    /// <summary>Written 12p, 48K or 50M.</summary>
    Pages,
    /// <summary>A plain number.</summary>
    Count,
}

/// <summary>The words of the scenario language, in one place: the parser reads them, `conform --language` prints them.</summary>
internal static class ScriptGrammar
{
    /// <summary>A verb, how its line is written and what it does.</summary>
    public static readonly (string Word, Verb Verb, string Form, string What)[] Verbs =
    [
        ("needs", Verb.Needs, "needs swap | protection | high | kmem | reclaim | nodes N | cpus N", "skip the file where that is not to be had"),
        ("differs", Verb.Differs, "differs AXIS=ANSWER REASON...", "in eras with this answer an expectation fails, for this reason; it must then"),
        ("group", Verb.Group, "group PATH [max SIZE] [min SIZE] [low SIZE] [high SIZE]", "make a group; its parent must be there"),
        ("remove", Verb.Remove, "remove PATH", "rmdir; nothing may run in it"),
        ("set", Verb.Set, "set PATH max|min|low|high SIZE|none", "change a limit at run time"),
        ("empty", Verb.Empty, "empty PATH", "reclaim what can be reclaimed, return the stocks (force_empty)"),
        ("reclaim", Verb.Reclaim, "reclaim PATH SIZE", "ask for so much to be reclaimed (memory.reclaim)"),
        ("reset", Verb.Reset, "reset PATH peak|failcnt", "begin the peak or the count of failures anew"),
        ("task", Verb.Task, "task NAME in PATH cpu N", "start a task on a CPU in a group"),
        ("move", Verb.Move, "move TASK PATH", "later memory of the task is charged there; what it has stays where it is"),
        ("exit", Verb.Exit, "exit TASK", "end it; its memory goes, files and dentries stay"),
        ("map", Verb.Map, "map TASK REGION SIZE", "anonymous memory, not touched yet"),
        ("touch", Verb.Touch, "touch REGION SIZE", "the task touches the next pages of a mapped region, one by one"),
        ("anon", Verb.Anon, "anon TASK REGION SIZE", "map and touch all"),
        ("shm", Verb.Shm, "shm TASK REGION SIZE", "memory of a tmpfs file, written page by page"),
        ("file", Verb.File, "file TASK REGION SIZE", "clean page cache: a sparse file read page by page"),
        ("pipes", Verb.Pipes, "pipes TASK REGION N fill PAGES", "N pipes of so many full buffers (a page of kernel memory each)"),
        ("dentries", Verb.Dentries, "dentries TASK REGION N", "N negative dentries: kernel objects that stay when the task goes"),
        ("free", Verb.Free, "free REGION", "unmap, truncate, close or drop it"),
        ("migrate", Verb.Migrate, "migrate REGION node N", "move its pages to a memory node"),
        ("wait", Verb.Wait, "wait TIME | wait quiet", "let time pass; quiet: until grace periods are over and statistics flushed"),
        ("expect", Verb.Expect, "expect PATH KEY VALUE | expect dying N | expect TASK ok|oom|killed|busy", "compare"),
    ];

    /// <summary>What can be expected of a group.</summary>
    public static readonly (string Key, ValueUnit Unit, string What)[] Keys =
    [
        ("usage", ValueUnit.Pages, "the memory counter, stocked pages included"),
        ("peak", ValueUnit.Pages, "its highest value"),
        ("limit", ValueUnit.Pages, "its limit"),
        ("kmem", ValueUnit.Pages, "kernel memory"),
        ("anon", ValueUnit.Pages, "anonymous pages of this group alone"),
        ("file", ValueUnit.Pages, "page cache of this group alone, tmpfs included"),
        ("shmem", ValueUnit.Pages, "the tmpfs part of it"),
        ("failcnt", ValueUnit.Count, "charges that this counter refused (v2: events max)"),
        ("oom_kill", ValueUnit.Count, "tasks of the group that were killed"),
        ("high_events", ValueUnit.Count, "times usage went over high"),
        ("low_events", ValueUnit.Count, "times low protection was broken"),
        ("pgpgin", ValueUnit.Count, "folios ever charged"),
        ("pgpgout", ValueUnit.Count, "folios ever uncharged"),
    ];

    /// <summary>Keys of one memory node: numa.0.anon.</summary>
    public static readonly string[] NodeKeys = ["anon", "file"];

    /// <summary>What `needs` takes; those that take a number first.</summary>
    public static readonly string[] NeedsWithNumber = ["nodes", "cpus"], NeedsAlone = ["swap", "protection", "high", "kmem", "reclaim"];

    /// <summary>Limits a group can have.</summary>
    public static readonly string[] Limits = ["max", "min", "low", "high"];

    /// <summary>How a task's last deed can have ended.</summary>
    public static readonly string[] Ends = ["ok", "oom", "killed", "busy"];

    /// <summary>The unit of a key, or null when there is no such key.</summary>
    public static ValueUnit? UnitOf(string key)
    {
        foreach ((string name, ValueUnit unit, string _) in Keys)
            if (name == key) return unit;
        string[] parts = key.Split('.');
        return parts is ["numa", var node, var what] && int.TryParse(node, out int n) && n is >= 0 and < 1024 && NodeKeys.Contains(what) ? ValueUnit.Pages : null;
    }
}
