// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// A directory that looks like /: the real one, a copy of another machine's, or one held in memory. Paths are relative and use '/'.
/// A file that cannot be read (absent, not permitted, refused by the driver) is absent: nothing here needs privilege.
/// </summary>
public interface ISysRoot
{
    /// <summary>What a topology read from here says of its origin.</summary>
    string Origin { get; }

    /// <summary>The files are those of the running system.</summary>
    bool IsThisMachine { get; }

    /// <summary>The files were made up.</summary>
    bool IsSynthetic { get; }

    /// <summary>How an error names this file.</summary>
    string FullName(string path);

    /// <summary>The whole text of a file, or null.</summary>
    string? Read(string path);

    /// <summary>Names in a directory, ordinal order; empty when there is none.</summary>
    IReadOnlyList<string> List(string directory);
}

/// <summary>A root on disk.</summary>
public sealed class RealSysRoot(string root) : ISysRoot
{
    /// <inheritdoc/>
    public string Origin => IsThisMachine ? "this machine" : $"recorded: {root}";

    /// <inheritdoc/>
    public bool IsThisMachine => root == "/";

    /// <inheritdoc/>
    public bool IsSynthetic => false;

    /// <inheritdoc/>
    public string FullName(string path) => Path.Combine(root, path);

    /// <inheritdoc/>
    public string? Read(string path)
    {
        try
        {
            return File.ReadAllText(FullName(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(FullName(directory)).Select(e => Path.GetFileName(e)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}

/// <summary>A root held in memory: a recording, or a test's machine.</summary>
public sealed class RecordedSysRoot : ISysRoot
{
    private readonly SortedDictionary<string, string> _files;
    private readonly Dictionary<string, SortedSet<string>> _directories = [];

    /// <summary>Files by relative path.</summary>
    public RecordedSysRoot(string name, IEnumerable<KeyValuePair<string, string>> files, bool isSynthetic = false)
    {
        Origin = $"recorded: {name}";
        IsSynthetic = isSynthetic;
        _files = new(StringComparer.Ordinal);
        foreach (var (path, text) in files)
        {
            _files[path] = text;
            for (int end = path.Length, slash; (slash = path.LastIndexOf('/', end - 1)) > 0; end = slash)
                if (!Names(path[..slash]).Add(path[(slash + 1)..end]))
                    break;
        }
    }

    /// <inheritdoc/>
    public string Origin { get; }

    /// <inheritdoc/>
    public bool IsThisMachine => false;

    /// <inheritdoc/>
    public bool IsSynthetic { get; }

    /// <summary>All files, by path in ordinal order.</summary>
    public IReadOnlyDictionary<string, string> Files => _files;

    /// <inheritdoc/>
    public string FullName(string path) => $"{Origin}: /{path}";

    /// <inheritdoc/>
    public string? Read(string path) => _files.GetValueOrDefault(path);

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string directory) => _directories.TryGetValue(directory, out var names) ? [.. names] : [];

    private SortedSet<string> Names(string directory)
    {
        if (!_directories.TryGetValue(directory, out var names))
            _directories[directory] = names = new(StringComparer.Ordinal);
        return names;
    }
}
