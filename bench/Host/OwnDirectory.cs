// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A group or tracing instance of our own, open. It goes with its <see cref="HostChanges"/>; nothing else deletes it. Names are of the strict
/// pattern of <see cref="HostDirectory.IsName"/>, one level each.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class OwnDirectory
{
    private readonly UndoJournal journal;
    private readonly UndoKind kind;
    private readonly HostDirectory directory;

    private OwnDirectory(UndoJournal journal, UndoKind kind, HostDirectory directory) => (this.journal, this.kind, this.directory) = (journal, kind, directory);

    /// <summary>Where it is, for messages and for tools that want a path.</summary>
    public string Path => directory.Path;

    /// <summary>Inode of the directory: the number by which the kernel's events name a group.</summary>
    public ulong Inode => directory.Identity.Inode;

    /// <summary>rmdir of a group that <see cref="Make(string)"/> made below this one, before its time; the errno, or 0.</summary>
    public int TryRemove(string name) => directory.TryRemove(name);

    /// <summary>A group below this one.</summary>
    public OwnDirectory Make(string name) => Make(journal, kind, directory, name);

    /// <summary>The text of one of its files.</summary>
    public string Read(string file) => directory.Read(file);

    /// <summary>Sets one of its files.</summary>
    public void Write(string file, string text) => directory.Write(file, text);

    /// <summary>Journal, directory, mark, and who it is: killed between any two of these, the undo finds it by the nonce in its name.</summary>
    internal static OwnDirectory Make(UndoJournal journal, UndoKind kind, HostDirectory parent, string name)
    {
        string path = $"{parent.Path.TrimEnd('/')}/{name}";
        journal.Add(kind, path, old: "", ours: "");
        parent.Make(name);
        HostDirectory made = parent.OpenBelow(name);
        journal.Keep(made);
        made.Tag = journal.Nonce;
        journal.Add(kind, path, old: "", ours: Undo.NameOf(made.Identity));
        return new OwnDirectory(journal, kind, made);
    }
}
