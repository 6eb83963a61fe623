# Makes a gem server of a folder, for tests without RubyGems: gems.rb FOLDER GEM...
# The gems are what Debian's packages hold as plain files, with all that they depend on, and two versions of a tiny
# one of our own.
require "fileutils"
require "rubygems/package"
require "rubygems/indexer"

# Those that a gem needs and that do not come with Ruby itself.
def dependencies(found)
  found.runtime_dependencies.map { |dependency| Gem::Specification.find_by_name(dependency.name) }
       .reject(&:default_gem?)
end

def with_all_they_need(names)
  found = {}
  waiting = names.map { |name| Gem::Specification.find_by_name(name) }
  while (one = waiting.shift)
    waiting.concat(dependencies(one)) unless found.key?(one.name)
    found[one.name] = one
  end
  found.values
end

# What was compiled is packed as it is: nothing is compiled when such a gem is installed. Some of Debian's gems have
# no folder: their files are where Ruby looks by itself.
def copy(found, folder)
  return unless File.directory?(found.full_gem_path)

  FileUtils.cp_r("#{found.full_gem_path}/.", folder, dereference_root: true)
  FileUtils.mkdir_p(File.join(folder, "lib"))
  compiled = found.extensions.empty? ? [] : [found.extension_dir].select { |path| File.directory?(path) }
  compiled.each { |path| FileUtils.cp_r("#{path}/.", File.join(folder, "lib")) }
end

folder, *names = ARGV
FileUtils.mkdir_p(File.join(folder, "gems"))
with_all_they_need(names).each do |found|
  Dir.mktmpdir do |place|
    copy(found, place)
    Dir.chdir(place) do
      spec = Gem::Specification.new(found.name, found.version) do |s|
        s.summary, s.authors = found.summary, found.authors
        s.files = Dir.glob("{lib,bin,exe,app,config,db}/**/*").select { |path| File.file?(path) }
        s.bindir = found.bindir
        s.executables = found.executables.select { |name| File.exist?(File.join(found.bindir, name)) }
        s.require_paths = found.require_paths.reject { |path| path.start_with?("/") }
        dependencies(found).each { |other| s.add_runtime_dependency(other.name) }
      end
      FileUtils.mv(Gem::Package.build(spec, true), File.join(folder, "gems"))
    end
  end
end
%w[1.0.0 1.1.0].each do |version|
  Dir.mktmpdir do |source|
    Dir.chdir(source) do
      FileUtils.mkdir("lib")
      File.write("lib/greet.rb", "GREET = 'greet #{version}'\n")
      spec = Gem::Specification.new("greet", version) do |s|
        s.summary, s.authors, s.files = "A word", ["nobody"], ["lib/greet.rb"]
      end
      FileUtils.mv(Gem::Package.build(spec, true), File.join(folder, "gems"))
    end
  end
end
Gem::Indexer.new(folder).generate_index
