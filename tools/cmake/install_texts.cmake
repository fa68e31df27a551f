# Installs the files that name the place where they are: the jobs and the module file. Run by
# `cmake --install` with `source`, `build` and `version` set, beside CMAKE_INSTALL_PREFIX.
cmake_minimum_required(VERSION 3.25)
set(prefix "${CMAKE_INSTALL_PREFIX}")
set(made "${build}/installed")

# Slurm runs a copy of a job, which could not find run.sh beside itself.
set(jobs "${prefix}/share/bovila/jobs")
file(GLOB files "${source}/jobs/*.slurm")
foreach(file ${files})
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" text)
  string(REPLACE "exec jobs/run.sh" "exec \"${jobs}/run.sh\"" text "${text}")
  string(REPLACE "exec \"tools/" "exec \"${prefix}/bin/" text "${text}")
  string(REPLACE "sbatch jobs/" "sbatch ${jobs}/" text "${text}")
  file(WRITE "${made}/${name}" "${text}")
  file(INSTALL "${made}/${name}" DESTINATION "${jobs}")
endforeach()
file(INSTALL "${source}/jobs/run.sh" "${source}/jobs/supervise.sh" "${source}/jobs/restarts.bash"
             "${source}/jobs/hosts.bash" "${source}/jobs/mpirun_hosts.bash" "${source}/jobs/maintenance.bash"
     DESTINATION "${jobs}" USE_SOURCE_PERMISSIONS)

file(READ "${source}/tools/cmake/modulefile.in" text)
string(REPLACE "@prefix@" "${prefix}" text "${text}")
string(REPLACE "@version@" "${version}" text "${text}")
file(WRITE "${made}/${version}" "${text}")
file(INSTALL "${made}/${version}" DESTINATION "${prefix}/share/modulefiles/bovila")
