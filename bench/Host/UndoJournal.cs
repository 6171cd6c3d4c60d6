// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What was changed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<UndoKind>))]
internal enum UndoKind { Group, TraceInstance, Pool }

/// <summary>One change, written before it is made; a directory has a second line once its inode is known.</summary>
internal sealed record UndoLine(UndoKind Kind, string Path, string Old, string Ours, int Pid, long Start, string Boot, string Nonce);

/// <summary>
/// The file of one run: a JSON line per change, each on the disk before the change. Named SUPERVISOR.NONCE.undo, in a directory that
/// only its owner may write, because root acts on what stands there.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class UndoJournal : IDisposable
{
    /// <summary>Another place for the journals.</summary>
    public const string Variable = "MEMCGNATIVE_STATE";

    private const long MostBytes = 8 << 20;

    private readonly Lock gate = new();
    private readonly int pid = Environment.ProcessId;
    private readonly long start = ProcessControl.StartTime(Environment.ProcessId) ?? 0;
    private readonly string boot = ProcessControl.BootId;
    private readonly List<HostDirectory> kept = [];
    private FileStream? file;

    /// <summary>Of the run whose supervisor has this number; nothing is written before the first change.</summary>
    public UndoJournal(int supervisor, string nonce)
    {
        Nonce = nonce;
        Path = PathOf(supervisor, nonce);
    }

    /// <summary>16 hexadecimal digits nobody can guess.</summary>
    public string Nonce { get; }

    /// <summary>The file, there or not.</summary>
    public string Path { get; }

    /// <summary>memcgnative.PID.NONCE, the name of everything at the top of a hierarchy.</summary>
    public string TopName => string.Create(CultureInfo.InvariantCulture, $"memcgnative.{pid}.{Nonce}");

    public static string NewNonce() => Guid.NewGuid().ToString("N")[..16]; // from the kernel's random numbers, and without OpenSSL, which a small guest does not have

    public static string PathOf(int supervisor, string nonce) =>
        System.IO.Path.Combine(Directory, string.Create(CultureInfo.InvariantCulture, $"{supervisor}.{nonce}.undo"));

    /// <summary>/var/lib/memcgnative for root, the user's state directory for others.</summary>
    public static string Directory => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named
        : Environment.IsPrivilegedProcess ? "/var/lib/memcgnative"
        : System.IO.Path.Combine(Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } state ? state
            : System.IO.Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/", ".local/state"), "memcgnative");

    /// <summary>Writes one change and waits until it is on the disk.</summary>
    /// <exception cref="OsException">It is not: then the change must not be made.</exception>
    public void Add(UndoKind kind, string path, string old, string ours)
    {
        lock (gate)
        {
            try
            {
                file ??= Create();
                file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new UndoLine(kind, path, old, ours, pid, start, boot, Nonce), UndoJson.Default.UndoLine) + "\n"));
                file.Flush();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new OsException("write", 0, $"cannot keep the undo journal in {Directory}: {e.Message.TrimEnd('.')}", $"Name another place: {Variable}=DIRECTORY");
            }
            HostDirectory.Sync(file.SafeFileHandle, Path);
        }
    }

    /// <summary>Closed with the journal, before anything is undone.</summary>
    public void Keep(HostDirectory directory)
    {
        lock (gate) kept.Add(directory);
    }

    /// <summary>Undoes what the file says, last first; the refusals. Without one the file is deleted.</summary>
    public List<string> UndoAll(bool killDescendants)
    {
        Dispose();
        return UndoFile(Path, killDescendants);
    }

    /// <summary>As above, of any run.</summary>
    public static List<string> UndoFile(string path, bool killDescendants)
    {
        if (!File.Exists(path)) return [];
        List<string> refusals = Undo.Apply(Read(path), killDescendants);
        if (refusals.Count == 0) File.Delete(path);
        return refusals;
    }

    /// <summary>The journals in the directory; none when there is no directory. Checked: nobody else could have written them.</summary>
    public static string[] All()
    {
        if (!System.IO.Directory.Exists(Directory)) return [];
        CheckOwner();
        return [.. System.IO.Directory.GetFiles(Directory, "*.undo").Order(StringComparer.Ordinal)];
    }

    /// <summary>The changes of a journal in order; a torn last line is of a change that was not made.</summary>
    /// <exception cref="UsageException">It is no journal.</exception>
    public static List<UndoLine> Read(string path)
    {
        if (new FileInfo(path) is { LinkTarget: not null } or { Length: > MostBytes }) throw new UsageException($"{path} is no undo journal: a link, or larger than 8 MiB");
        return Parse(File.ReadAllText(path), path);
    }

    /// <summary>As above, from text.</summary>
    public static List<UndoLine> Parse(string text, string path)
    {
        var lines = new List<UndoLine>();
        string[] rows = text.Split('\n');
        for (int i = 0; i < rows.Length - 1; i++)
        {
            try
            {
                if (JsonSerializer.Deserialize(rows[i], UndoJson.Default.UndoLine) is not { Path: not null, Old: not null, Ours: not null, Nonce: not null, Boot: not null } line)
                    throw new JsonException("a field is missing");
                lines.Add(line);
            }
            catch (Exception e) when (e is JsonException or ArgumentException) // the latter: half a surrogate pair
            {
                throw new UsageException($"{path}:{i + 1}: no line of an undo journal ({e.Message.ReplaceLineEndings(" ")}); look at it, then delete it");
            }
        }
        return lines;
    }

    /// <summary>Whether the run that wrote it, or its supervisor, is still there and will undo it.</summary>
    public static bool IsLive(string path, List<UndoLine> lines)
    {
        if (lines.Count == 0 || lines[0].Boot != ProcessControl.BootId) return false;
        if (ProcessControl.StartTime(lines[0].Pid) == lines[0].Start) return true;
        string name = System.IO.Path.GetFileName(path).Split('.')[0];
        // The supervisor started before its child; a later process of that number is another one.
        return int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int supervisor)
            && ProcessControl.StartTime(supervisor) is { } began && began <= lines[0].Start;
    }

    /// <summary>Another run's change of this path that has not been undone.</summary>
    public static UndoLine? OthersWith(string path, UndoJournal own) =>
        All().Where(f => f != own.Path).SelectMany(Read).FirstOrDefault(l => l.Path == path && l.Boot == own.boot);

    /// <summary>Closes the file and the directories; the changes stay.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            foreach (HostDirectory directory in kept) directory.Dispose();
            kept.Clear();
            file?.Dispose();
            file = null;
        }
    }

    private FileStream Create()
    {
        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        CheckOwner();
        FileStream made = new(Path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        using HostDirectory directory = HostDirectory.Open(Directory);
        directory.Sync();
        return made;
    }

    private static void CheckOwner()
    {
        using HostDirectory directory = HostDirectory.Open(Directory);
        using HostDirectory self = HostDirectory.Open("/proc/self");
        FileIdentity found = directory.Identity;
        if (found.Owner != self.Identity.Owner || (found.Mode & 0x12) != 0) // 022
            throw new OsException("statx", 0, $"{Directory} belongs to somebody else or can be written by others: its journals are not trusted",
                $"chmod 700 it, or name another place: {Variable}=DIRECTORY");
    }
}

[JsonSourceGenerationOptions(UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(UndoLine))]
internal sealed partial class UndoJson : JsonSerializerContext;
