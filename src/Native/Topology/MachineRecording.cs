// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace MemcgNative.Native;

/// <summary>
/// A machine's topology files in one text file, small enough for a mail: a line is <c>path TAB content</c> with \n, \t, \r and \\ escaped. Files that
/// differ only in the CPU's number share a line: <c>sys/devices/system/cpu/cpu[0-7]/cache/index3/size</c>. Lines that begin with # are remarks.
/// Nothing else of the machine is written: of /proc/self/status the two lists, of meminfo the two sizes.
/// </summary>
public static class MachineRecording
{
    private const string FirstLine = "# memcgnative machine recording 1";
    private const string CpuPrefix = "sys/devices/system/cpu/cpu";

    /// <summary>Files a topology may need; * stands for the rest of one name.</summary>
    private static readonly string[] Patterns =
    [
        "proc/meminfo",
        "proc/self/status",
        "sys/devices/system/cpu/isolated", "sys/devices/system/cpu/kernel_max", "sys/devices/system/cpu/offline",
        "sys/devices/system/cpu/online", "sys/devices/system/cpu/possible", "sys/devices/system/cpu/present",
        "sys/devices/system/cpu/cpu*/topology/core_cpus_list", "sys/devices/system/cpu/cpu*/topology/core_id",
        "sys/devices/system/cpu/cpu*/topology/die_id", "sys/devices/system/cpu/cpu*/topology/physical_package_id",
        "sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
        "sys/devices/system/cpu/cpu*/cache/index*/level", "sys/devices/system/cpu/cpu*/cache/index*/shared_cpu_list",
        "sys/devices/system/cpu/cpu*/cache/index*/size", "sys/devices/system/cpu/cpu*/cache/index*/type",
        "sys/devices/system/node/has_cpu", "sys/devices/system/node/has_memory", "sys/devices/system/node/online", "sys/devices/system/node/possible",
        "sys/devices/system/node/node*/cpulist", "sys/devices/system/node/node*/distance", "sys/devices/system/node/node*/meminfo",
        "sys/devices/system/node/node*/hugepages/hugepages-*/free_hugepages", "sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages",
        "sys/kernel/mm/hugepages/hugepages-*/free_hugepages", "sys/kernel/mm/hugepages/hugepages-*/nr_hugepages",
    ];

    /// <summary>Writes what a topology needs of <paramref name="root"/>, UTF-8; reading it back gives the same topology, or the same error.</summary>
    public static void Write(ISysRoot root, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(root);
        using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(FirstLine);
        foreach (var (path, text) in Grouped(Patterns.SelectMany(p => Expand(root, "", p)).SelectMany(path =>
            root.Read(path) is { } text ? [(path, Needed(path, text))] : Array.Empty<(string, string)>())))
            writer.WriteLine($"{path}\t{Escape(text)}");
    }

    /// <summary>Reads a recording.</summary>
    /// <exception cref="TopologyException">A line is not of the format; the message names it.</exception>
    public static RecordedSysRoot Read(TextReader reader, string name, bool isSynthetic = false)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var files = new Dictionary<string, string>();
        var number = 1;
        for (var line = reader.ReadLine(); line is not null; line = reader.ReadLine(), number++)
        {
            if (number == 1 && line != FirstLine)
                throw new TopologyException($"{name}:1: not a machine recording (its first line would be '{FirstLine}')");
            if (line.Length == 0 || line[0] == '#')
                continue;
            var tab = line.IndexOf('\t', StringComparison.Ordinal);
            if (tab <= 0)
                throw new TopologyException($"{name}:{number}: no tab between path and content");
            var text = Unescape(line[(tab + 1)..]) ?? throw new TopologyException($"{name}:{number}: a backslash is followed by n, t, r or another backslash");
            foreach (var path in Ungrouped(line[..tab]) ?? throw new TopologyException($"{name}:{number}: no CPU list between the brackets"))
                files[path] = text;
        }
        return number > 1 ? new RecordedSysRoot(name, files, isSynthetic) : throw new TopologyException($"{name}: empty");
    }

    /// <summary>
    /// Opens a recording, or a directory with machine.txt. A machine.json beside machine.txt says what it is:
    /// <c>{ "name": ..., "provenance": ..., "synthetic": true|false }</c>; without it the machine has the file's or directory's name and is not synthetic.
    /// </summary>
    /// <exception cref="TopologyException">A file is missing or not of the format.</exception>
    public static RecordedSysRoot Open(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "machine.txt") : Path.GetFullPath(path);
        var about = Path.Combine(Path.GetDirectoryName(file)!, "machine.json");
        try
        {
            var (name, synthetic) = (Path.GetFileName(Path.TrimEndingDirectorySeparator(path)), false);
            if (Path.GetFileName(file) == "machine.txt" && File.Exists(about))
            {
                using var json = JsonDocument.Parse(File.ReadAllText(about));
                name = json.RootElement.GetProperty("name").GetString() ?? name;
                synthetic = json.RootElement.GetProperty("synthetic").GetBoolean();
            }
            using var reader = new StreamReader(file);
            return Read(reader, name, synthetic);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new TopologyException($"{about}: needs \"name\" and \"synthetic\"");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TopologyException(ListText.Line(e.Message));
        }
    }

    private static IEnumerable<string> Expand(ISysRoot root, string done, string pattern)
    {
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0)
            return [done + pattern];
        var slash = pattern.LastIndexOf('/', star);
        var directory = done + pattern[..slash];
        var prefix = pattern[(slash + 1)..star];
        return root.List(directory).Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).SelectMany(n => Expand(root, $"{directory}/{n}", pattern[(star + 1)..]));
    }

    private static string Needed(string path, string text) => path switch
    {
        "proc/self/status" => Lines(text, "Cpus_allowed_list:", "Mems_allowed_list:"),
        _ when path.EndsWith("meminfo", StringComparison.Ordinal) => Lines(text, "MemTotal:", "MemFree:"),
        _ => text,
    };

    private static string Lines(string text, params string[] keys) =>
        string.Concat(text.Split('\n').Where(l => keys.Any(k => l.Contains(k, StringComparison.Ordinal))).Select(l => l + "\n"));

    private static IEnumerable<(string Path, string Text)> Grouped(IEnumerable<(string Path, string Text)> files) => files
        .Select(f => (Cpu: CpuOf(f.Path, out var tail), Tail: tail, f.Path, f.Text))
        .GroupBy(f => (Key: f.Cpu < 0 ? f.Path : f.Tail, f.Cpu < 0, f.Text))
        .Select(g => (g.Key.Item2 ? g.Key.Key : $"{CpuPrefix}[{ListText.Format(g.Select(f => f.Cpu))}]{g.Key.Key}", g.Key.Text));

    /// <summary>The CPU's number, and what follows it; -1 for other files.</summary>
    private static int CpuOf(string path, out string tail)
    {
        tail = path;
        if (!path.StartsWith(CpuPrefix, StringComparison.Ordinal) || path.IndexOf('/', CpuPrefix.Length) is not (var slash and > 0))
            return -1;
        tail = path[slash..];
        return int.TryParse(path.AsSpan()[CpuPrefix.Length..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n < KernelList.Limit ? n : -1;
    }

    private static IEnumerable<string>? Ungrouped(string path)
    {
        if (!path.StartsWith(CpuPrefix + "[", StringComparison.Ordinal))
            return [path];
        var close = path.IndexOf(']', StringComparison.Ordinal);
        return close < 0 || KernelList.TryParse(path[(CpuPrefix.Length + 1)..close]) is not { } cpus ? null : cpus.Select(n => $"{CpuPrefix}{n}{path[(close + 1)..]}");
    }

    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
        .Replace("\t", "\\t", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal);

    private static string? Unescape(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                plain.Append(text[i]);
                continue;
            }
            if (++i == text.Length || "nrt\\".IndexOf(text[i], StringComparison.Ordinal) is not (var which and >= 0))
                return null;
            plain.Append("\n\r\t\\"[which]);
        }
        return plain.ToString();
    }
}
